import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { Agent, get, type IncomingMessage } from 'node:http';
import { dirname, join, relative } from 'node:path';
import { buffer as collectBytes } from 'node:stream/consumers';
import { test } from 'node:test';
import { freePort } from '#base/network/listening-port';
import {
  type HttpGateway,
  type HttpGatewayOptions,
  startHttpGateway,
  startSshGateway,
  storageMapping,
} from '#gateway/index';
import { isAtLeast } from '#git/command/capabilities';
import { signUrl } from '#object-store/file/sign-url';
import { gitOverSsh, makeSshKey, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { runGit, testedGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

const MIB = 1024 * 1024;
const WITH_BUNDLES = ['-c', 'transfer.bundleURI=true'];
const knowsBundles = isAtLeast(testedGit(), { major: 2, minor: 40 });
const skip = !knowsBundles && 'needs git 2.40';

interface Served {
  readonly gitaly: TestGitaly;
  readonly gateway: HttpGateway;
  readonly url: string;
  /** Path of the repository on the server. */
  readonly path: string;
  /** Names of the files in the repository's folder of the bucket. */
  readonly bundles: () => string[];
  /** Clones into a new directory, and returns it. */
  readonly clone: (
    options?: readonly string[],
    url?: string,
    env?: Record<string, string | undefined>,
  ) => Promise<string>;
  readonly signed: (key: string, validMs?: number) => string;
}

/** Starts a server whose bundles a gateway serves, with one repository. */
async function serve(
  stack: AsyncDisposableStack,
  options: { flags?: boolean } & Pick<HttpGatewayOptions, 'onFailure'> = {},
): Promise<Served> {
  const port = await freePort();
  const baseUrl = `http://127.0.0.1:${port}/-/bundles`;
  const gitaly = stack.use(
    await startGitaly({
      config: (directory) => {
        const secret = join(directory, 'secret');
        writeFileSync(secret, 'hush');
        const signing = new URLSearchParams({ base_url: baseUrl, secret_key_path: secret });
        const url = `file://${directory}/bundles?${signing}`;
        return { bundle_uri: { go_cloud_url: url, automatic: options.flags !== true } };
      },
    }),
  );
  const secretKeyPath = join(gitaly.directory, 'secret');
  const gateway = stack.use(
    await startHttpGateway({
      gitaly: { address: gitaly.address },
      listen: { host: '127.0.0.1', port },
      mapping: storageMapping('default'),
      bundles: { url: `file://${gitaly.directory}/bundles`, secretKeyPath },
      ...(options.onFailure && { onFailure: options.onFailure }),
    }),
  );
  const path = initServed(gitaly, 'r.git', { commits: 3 });
  const url = `${gateway.url}/r.git`;
  const folder = join(gitaly.directory, 'bundles/default/r.git/uri');
  let clones = 0;
  const clone: Served['clone'] = async (flags = [], from = url, env = {}) => {
    const target = join(gitaly.directory, `clone-${clones++}`);
    await runGit([...flags, 'clone', '-q', '--bare', from, target], { env });
    return target;
  };
  const secret = readFileSync(secretKeyPath);
  return {
    ...{ gitaly, gateway, url, path, clone },
    bundles: () => {
      try {
        return readdirSync(folder).sort();
      } catch {
        return []; // there are none yet
      }
    },
    signed: (key, validMs = 60_000) => signUrl({ baseUrl, secret }, key, validMs),
  };
}

async function cloneOften({ clone, bundles }: Served): Promise<void> {
  for (let count = 0; count < 5; count++) await clone();
  await until(() => bundles().includes('chain.json'));
}

const target = (relativePath: string) => ({ storageName: 'default', relativePath });

function bundled(clone: string): string[] {
  return gitOutput(clone, ['for-each-ref', '--format=%(objectname)', 'refs/bundles'])
    .split('\n')
    .filter(Boolean);
}

/** Adds a commit with a file that does not compress. */
function grow(path: string): string {
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], randomBytes(2_000_000));
  const tree = gitOutput(path, ['mktree'], `100644 blob ${blob}\tlarge\n`);
  const commit = gitOutput(path, ['commit-tree', '-p', 'main', '-m', 'large', tree]);
  gitOutput(path, ['update-ref', 'refs/heads/main', commit]);
  return commit;
}

test('a repository that is cloned often gets a bundle, others do not', async () => {
  await using stack = new AsyncDisposableStack();
  const served = await serve(stack);
  for (let count = 0; count < 6; count++) await served.clone(['-c', 'protocol.version=2'], served.url);
  await until(() => served.bundles().length === 2);

  initServed(served.gitaly, 'other.git', { commits: 1 });
  for (let count = 0; count < 4; count++) await served.clone([], `${served.gateway.url}/other.git`);

  assert.deepEqual(readdirSync(join(served.gitaly.directory, 'bundles/default')), ['r.git']);
  const [bundle = ''] = served.bundles();
  const file = join(served.gitaly.directory, 'bundles/default/r.git/uri', bundle);
  assert.equal(gitOutput(served.path, ['bundle', 'list-heads', file]).split(' ')[1], 'refs/heads/main');
});

test('without the key and the feature flags nothing is made', async () => {
  await using stack = new AsyncDisposableStack();
  const served = await serve(stack, { flags: true });

  for (let count = 0; count < 6; count++) await served.clone();

  assert.deepEqual(served.bundles(), []);
});

test('the gateway serves a bundle at its signed address, whole or in part', async () => {
  await using stack = new AsyncDisposableStack();
  const served = await serve(stack);
  await cloneOften(served);
  const name = served.bundles().find((each) => each.endsWith('.bundle')) ?? '';
  const key = `default/r.git/uri/${name}`;
  const content = readFileSync(join(served.gitaly.directory, 'bundles', key));
  const get = (headers: Record<string, string> = {}, url = served.signed(key)) => fetch(url, { headers });

  const whole = await get();
  const etag = whole.headers.get('etag') ?? '';
  const part = await get({ range: 'bytes=5-', 'if-range': etag });
  const outdated = await get({ range: 'bytes=5-', 'if-range': '"other"' });
  const beyond = await get({ range: `bytes=${content.length}-` });
  const head = await fetch(served.signed(key), { method: 'HEAD' });
  const unchanged = await get({ 'if-none-match': etag });

  assert.ok(content.equals(Buffer.from(await whole.arrayBuffer())));
  assert.equal(whole.headers.get('accept-ranges'), 'bytes');
  assert.equal(part.status, 206);
  assert.equal(part.headers.get('content-range'), `bytes 5-${content.length - 1}/${content.length}`);
  assert.ok(content.subarray(5).equals(Buffer.from(await part.arrayBuffer())));
  assert.equal(outdated.status, 200);
  assert.equal((await outdated.arrayBuffer()).byteLength, content.length);
  assert.deepEqual([beyond.status, unchanged.status], [416, 304]);
  assert.deepEqual([head.status, head.headers.get('content-length')], [200, String(content.length)]);
});

test('the gateway serves nothing without a valid signature, and nothing but bundles', async () => {
  await using stack = new AsyncDisposableStack();
  const served = await serve(stack);
  await cloneOften(served);
  const name = served.bundles().find((each) => each.endsWith('.bundle')) ?? '';
  const key = `default/r.git/uri/${name}`;
  const status = async (url: string, method = 'GET'): Promise<number> => {
    const response = await fetch(url, { method });
    await response.arrayBuffer();
    return response.status;
  };
  const changed = (field: string, value: string): string => {
    const url = new URL(served.signed(key));
    url.searchParams.set(field, value);
    return url.href;
  };

  assert.equal(await status(served.signed(key)), 200);
  assert.equal(await status(`${served.gateway.url}/-/bundles`), 403);
  assert.equal(await status(served.signed(key, -2000)), 403);
  assert.equal(await status(changed('obj', 'default/other.git/uri/x.bundle')), 403);
  assert.equal(await status(changed('expiry', '9999999999')), 403);
  assert.equal(await status(changed('signature', 'AAAA')), 403);
  assert.equal(await status(served.signed('default/r.git/uri/chain.json')), 404);
  assert.equal(await status(served.signed('../secret.bundle')), 404);
  assert.equal(await status(served.signed(key), 'POST'), 405);
});

test('the bundles of a repository that is removed or renamed leave the bucket', async () => {
  await using stack = new AsyncDisposableStack();
  const served = await serve(stack);
  const { gitaly, url } = served;
  const bucket = join(gitaly.directory, 'bundles');
  const found = (): string[] =>
    readdirSync(bucket, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(bucket, join(entry.parentPath, entry.name)));
  await cloneOften(served);
  const nested = 'default/r.git/uri/nested.git/uri/default.bundle'; // of another repository
  mkdirSync(dirname(join(bucket, nested)), { recursive: true });
  writeFileSync(join(bucket, nested), '');
  await gitaly.connection.repository.generateBundleURI({ repository: target('r.git') });
  assert.equal(found().length, 4); // chain, automatic and requested bundle

  await gitaly.connection.repository.renameRepository({
    repository: target('r.git'),
    relativePath: 's.git',
  });
  await until(() => found().length === 1);
  assert.deepEqual(found(), [nested]);

  for (let count = 0; count < 5; count++) await served.clone([], url.replace('r.git', 's.git'));
  await until(() => found().includes('default/s.git/uri/chain.json'));
  await gitaly.connection.repository.removeRepository({ repository: target('s.git') });
  await until(() => found().length === 1);
  assert.deepEqual(found(), [nested]);
});

test('behind a Praefect, the bundles of its virtual storage leave the bucket', async () => {
  await using stack = new AsyncDisposableStack();
  const { gitaly } = await serve(stack);
  const folder = join(gitaly.directory, 'bundles/virtual/r.git/uri');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'default.bundle'), '');

  const metadata = { virtual_storage: 'virtual' };
  await gitaly.connection.repository.removeRepository({ repository: target('r.git') }, { metadata });

  await until(() => readdirSync(folder).length === 0);
});

// The client waited for the rest until the idle connection was closed.
test('a bundle that is truncated while it is sent ends the connection', async () => {
  await using stack = new AsyncDisposableStack();
  const failures: unknown[] = [];
  const { gitaly, signed } = await serve(stack, { onFailure: (error) => failures.push(error) });
  const key = 'default/r.git/uri/large.bundle';
  const file = join(gitaly.directory, 'bundles', key);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, '');
  truncateSync(file, 64 * MIB);
  const agent = stack.adopt(new Agent({ keepAlive: true }), (used) => used.destroy());
  const [response] = (await once(get(signed(key), { agent }), 'response')) as [IncomingMessage];

  truncateSync(file, 32 * MIB); // more than the buffers of a connection have taken
  const received = collectBytes(response);

  await assert.rejects(received, { code: 'ECONNRESET' });
  assert.deepEqual(failures.map(String), ['Error: the object was changed while it was sent']);
});

test('a clone downloads the chain, and has the right result after pushes of all kinds', {
  skip,
}, async () => {
  await using stack = new AsyncDisposableStack();
  const served = await serve(stack);
  const { path, clone, bundles } = served;
  grow(path);
  await cloneOften(served);
  const first = gitOutput(path, ['rev-parse', 'main']);
  const newest = addCommit(path, 4);

  const behind = await clone(WITH_BUNDLES);

  assert.ok(bundled(behind).includes(first), 'the bundle was used');
  assert.equal(gitOutput(behind, ['rev-parse', 'main']), newest);
  gitOutput(behind, ['fsck', '--strict']);

  gitOutput(path, ['update-ref', 'refs/heads/main', `${first}~1`]);
  const forced = grow(path);
  const plain = await clone(WITH_BUNDLES);
  assert.deepEqual(bundled(plain), [], 'a chain with lost commits is not offered');
  assert.equal(gitOutput(plain, ['rev-parse', 'main']), forced);

  gitOutput(path, ['repack', '-a', '-d', '-q']);
  gitOutput(path, ['prune', '--expire=now']);
  await until(() => bundles().filter((name) => name.endsWith('.bundle')).length === 2);
  await until(async () => bundled(await clone(WITH_BUNDLES)).includes(forced));
});

test('a client over SSH gets the bundles of the HTTP gateway', { skip: skip || NO_OPENSSH }, async () => {
  await using stack = new AsyncDisposableStack();
  const served = await serve(stack);
  const { directory, address } = served.gitaly;
  await cloneOften(served);
  const key = await makeSshKey(join(directory, 'id'), 'ann');
  const hostKeyPath = join(directory, 'host-key');
  const gateway = stack.use(
    await startSshGateway({
      gitaly: { address },
      listen: { host: '127.0.0.1', port: 0 },
      mapping: storageMapping('default'),
      hostKeyPath,
      access: { everybody: { glId: 'user-1', username: 'git' } },
    }),
  );
  const ssh = await sshArguments({ directory, gateway, hostKeyPath, key: key.path });

  const clone = await served.clone(
    WITH_BUNDLES,
    `ssh://git@${gateway.host}:${gateway.port}/r.git`,
    gitOverSsh(ssh),
  );

  assert.deepEqual([...new Set(bundled(clone))], [gitOutput(served.path, ['rev-parse', 'main'])]);
});
