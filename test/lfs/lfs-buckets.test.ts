import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { type TestContext, test } from 'node:test';
import { startAzureServer } from '#testkit/start-azure-server';
import { startGcsServer } from '#testkit/start-gcs-server';
import { startS3Server } from '#testkit/start-s3-server';
import { LfsSite, pointerTo } from './lfs-site.ts';

const CONTENT = randomBytes(300_000);

/** The services whose stand-ins may be missing on this machine. */
const SERVERS = { s3: startS3Server, gs: startGcsServer, azblob: startAzureServer } as const;

const MISSING: Readonly<Record<string, string>> = {
  s3: 'Go is not installed',
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

/** Requests a file without a login. */
async function fetched(url: string, headers: Record<string, string>): Promise<{ readonly bytes: Buffer }> {
  const response = await fetch(url, { headers });
  return { bytes: Buffer.from(await response.arrayBuffer()) };
}
