import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { startAzureServer } from '#testkit/servers/start-azure-server';
import { startGcsServer } from '#testkit/servers/start-gcs-server';
import { startMotoServer } from '#testkit/servers/start-moto-server';
import { startS3Server } from '#testkit/servers/start-s3-server';
import { LfsSite, pointerTo } from './lfs-site.ts';

const CONTENT = randomBytes(300_000);

/** The services whose stand-ins may be missing on this machine. */
const SERVERS = {
  s3: startS3Server,
  moto: startMotoServer,
  gs: startGcsServer,
  azblob: startAzureServer,
} as const;

const MISSING: Readonly<Record<string, string>> = {
  s3: 'Go is not installed',
  moto: 'moto cannot be installed',
  gs: 'Go is not installed',
  azblob: "npm's registry cannot be reached",
};

for (const [kind, start] of Object.entries(SERVERS)) {
  test(`files are kept in a bucket of ${kind}, and loaded from there`, async (context: TestContext) => {
    await using server = await start();
    if (server === undefined) return context.skip(MISSING[kind]);
    const url = 'createBucket' in server ? server.createBucket() : server.createContainer();
    await using site = await LfsSite.open(await url);
    await site.gitaly.createRepository({ relativePath: 'team/a.git' });
    const upload = (await site.batch('upload', [pointerTo(CONTENT)])).json.objects[0].actions.upload;
    // Only S3 can refuse a content with another hash; moto, which has its protocol, does not.
    assert.equal(upload.href.startsWith(site.gateway.url), kind !== 's3');
    if (kind === 's3') assert.ok((await put(upload, Buffer.alloc(CONTENT.length))) >= 400);
    const pointer = await site.store(CONTENT);

    const { json } = await site.batch('download', [pointer], 'bob');
    const { href } = json.objects[0].actions.download;
    // Without a key to sign with, as in the stand-in of Google, the gateway passes the bytes on.
    assert.equal(href.startsWith(site.gateway.url), kind === 'gs');
    const headers = { range: 'bytes=100-' };
    const direct = kind === 'gs' ? await site.send('GET', href, { headers }) : await fetched(href, headers);
    assert.ok(direct.bytes.equals(CONTENT.subarray(100)));
    const passed = await site.send('GET', `objects/${pointer.oid}`);
    assert.ok(passed.bytes.equals(CONTENT));

    const wrong = pointerTo(Buffer.from('another file'));
    const refused = await site.send('PUT', `objects/${wrong.oid}`, { body: CONTENT });
    assert.equal(refused.status, 422);
    assert.equal((await site.send('GET', `objects/${wrong.oid}`)).status, 404);
    const lock = () => site.send('POST', 'locks', { body: JSON.stringify({ path: 'a.psd' }) });
    assert.deepEqual((await Promise.all([lock(), lock()])).map(({ status }) => status).sort(), [201, 409]);
  });
}

/** Sends a file to a bucket. @returns the status. */
async function put(
  { header, href }: { header: Record<string, string>; href: string },
  body: Buffer<ArrayBuffer>,
): Promise<number> {
  return (await fetch(href, { method: 'PUT', headers: header, body })).status;
}

/** Requests a file without a login. */
async function fetched(url: string, headers: Record<string, string>): Promise<{ readonly bytes: Buffer }> {
  const response = await fetch(url, { headers });
  return { bytes: Buffer.from(await response.arrayBuffer()) };
}
