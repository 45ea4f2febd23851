import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { isAtLeast } from '#git/command/capabilities';
import { addCommit, gitOutput, initServed } from '#testkit/repositories/init-repository';
import { FLUSH, packet } from '#testkit/repositories/push';
import { runGit, testedGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';

const repository = { storageName: 'default', relativePath: 'r.git' };
const BUNDLE = 'default/r.git/uri/default.bundle';
const ALLOWED = { featureFlags: { bundle_uri: true } };

interface BundleServer {
  readonly gitaly: TestGitaly;
  /** Address of the repository for plain git; its calls have the flag. */
  readonly url: string;
  /** Keys of the objects that were downloaded. */
  readonly downloads: readonly string[];
  /** Commands of `git upload-pack` and the settings in their environment. */
  readonly started: () => { readonly args: string; readonly settings: Record<string, string> }[];
}

/** Starts a server with a bucket, a web server for the bucket, and one that passes on fetches. */
async function startServer(stack: AsyncDisposableStack, bucketOptions = true): Promise<BundleServer> {
  const downloads: string[] = [];
  const files = await listen(stack, (request, response) => {
    const key = new URL(request.url ?? '', 'http://x').searchParams.get('obj') ?? '';
    downloads.push(key);
    response.end(readFileSync(join(gitaly.directory, 'bundles', key)));
  });
  const gitaly = stack.use(
    await startGitaly({
      config: (directory) => {
        const [bucket, secret] = [join(directory, 'bundles'), join(directory, 'secret')];
        writeFileSync(secret, 'hush');
        const signed = new URLSearchParams({ base_url: files, secret_key_path: secret });
        const options = bucketOptions ? `?${signed}` : '';
        return {
          bundle_uri: { go_cloud_url: `file://${bucket}${options}` },
          git: { bin_path: writeLoggingGit(directory) },
        };
      },
    }),
  );
  initServed(gitaly, 'r.git', { commits: 3 });
  const url = await listen(stack, (request, response) => {
    serveFetch(gitaly, request, response).catch((error: unknown) => response.destroy(error as Error));
  });
  return { gitaly, url, downloads, started: () => startedIn(gitaly.directory) };
}

async function listen(stack: AsyncDisposableStack, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  // A server that listens on a port has an address of this kind.
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Passes on what git sends, as Workhorse does. */
async function serveFetch(
  { connection: { smartHttp } }: TestGitaly,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const header = { repository, gitProtocol: String(request.headers['git-protocol'] ?? '') };
  const isPost = request.method === 'POST';
  const kind = isPost ? 'result' : 'advertisement';
  response.setHeader('content-type', `application/x-git-upload-pack-${kind}`);
  async function* posted() {
    yield header;
    for await (const data of request) yield { data };
  }
  const answers = isPost
    ? smartHttp.postUploadPack(posted(), ALLOWED)
    : smartHttp.infoRefsUploadPack(header, ALLOWED);
  for await (const { data } of answers) response.write(data);
  response.end();
}

/** Writes a git that notes its arguments and the settings in its environment. */
function writeLoggingGit(directory: string): string {
  const file = join(directory, 'logging-git');
  const log = `{ echo "args $*"; env | grep ^GIT_CONFIG_; echo end; } >>${directory}/started`;
  const script = `case "$*" in *' upload-pack '*) ${log};; esac\nexec git "$@"`;
  writeFileSync(file, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  return file;
}

function startedIn(directory: string): ReturnType<BundleServer['started']> {
  const blocks = readFileSync(join(directory, 'started'), 'utf8').split('\nend\n').slice(0, -1);
  return blocks.map((block) => {
    const [args = '', ...lines] = block.split('\n');
    const variables = Object.fromEntries(lines.map((line) => line.split(/=(.*)/s, 2)));
    const count = Number(variables.GIT_CONFIG_COUNT ?? 0);
    const settings = Array.from({ length: count }, (_, index) => [
      String(variables[`GIT_CONFIG_KEY_${index}`]),
      String(variables[`GIT_CONFIG_VALUE_${index}`]),
    ]);
    return { args, settings: Object.fromEntries(settings) };
  });
}

/** Lets git answer a request of protocol v2, whether it knows the command or not. */
async function askForBundles({ gitaly }: BundleServer, options: object): Promise<void> {
  const { smartHttp } = gitaly.connection;
  const request = { repository, gitProtocol: 'version=2' };
  for await (const _ of smartHttp.infoRefsUploadPack(request, options));
  const data = Buffer.from(`${packet('command=bundle-uri\n')}${FLUSH}`);
  await Array.fromAsync(smartHttp.postUploadPack([request, { data }], options)).catch(() => undefined);
}

const ADVERTISE = 'uploadpack.advertiseBundleURIs';

test('a fetch is offered the bundle in the bucket if the feature flag is on', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await startServer(stack);
  await askForBundles(server, ALLOWED); // there is none yet
  await server.gitaly.connection.repository.generateBundleURI({ repository });
  await askForBundles(server, {});
  await askForBundles(server, { featureFlags: { bundle_uri: false } });
  const before = server.started();

  await askForBundles(server, ALLOWED);

  for (const { args, settings } of before) {
    assert.match(args, new RegExp(`-c ${ADVERTISE}=false`));
    assert.doesNotMatch(args + Object.keys(settings), /bundle\./);
  }
  const [advertisement, answer, ...others] = server.started().slice(before.length);
  assert.match(advertisement?.args ?? '', new RegExp(`-c ${ADVERTISE}=true`));
  assert.ok(answer);
  for (const pair of ['version=1', 'mode=all', 'heuristic=creationToken', 'default.creationToken=1'])
    assert.match(answer.args, new RegExp(`-c bundle\\.${pair}`));
  assert.match(answer.args, new RegExp(`-c ${ADVERTISE}=true`));
  const url = new URL(answer.settings['bundle.default.uri'] ?? '');
  assert.equal(url.searchParams.get('obj'), BUNDLE);
  assert.equal(answer.args.includes('signature'), false, 'the address is in the list of processes');
  assert.deepEqual(others, []);
});

test('a bucket without addresses for clients offers nothing', async () => {
  await using stack = new AsyncDisposableStack();
  const server = await startServer(stack, false);
  await server.gitaly.connection.repository.generateBundleURI({ repository });

  await askForBundles(server, ALLOWED);

  for (const { args } of server.started()) assert.match(args, new RegExp(`-c ${ADVERTISE}=false`));
});

const knowsBundles = isAtLeast(testedGit(), { major: 2, minor: 40 });
const skip = !knowsBundles && 'needs git 2.40';
test('git clones from the bundle and fetches only the rest', { skip }, async () => {
  await using stack = new AsyncDisposableStack();
  const server = await startServer(stack);
  const { gitaly, url } = server;
  const path = join(gitaly.storagePath(), 'r.git');
  await gitaly.connection.repository.generateBundleURI({ repository });
  const bundled = gitOutput(path, ['rev-parse', 'main']);
  const newest = addCommit(path, 4);
  const clone = join(gitaly.directory, 'clone');

  await runGit(['-c', 'transfer.bundleURI=true', 'clone', '-q', '--bare', url, clone]);

  assert.deepEqual(server.downloads, [BUNDLE]);
  assert.equal(gitOutput(clone, ['rev-parse', 'main']), newest);
  // Their names are refs/bundles/main before git 2.50, refs/bundles/heads/main since then.
  const fromBundle = gitOutput(clone, ['for-each-ref', '--format=%(objectname)', 'refs/bundles']);
  assert.ok(fromBundle.split('\n').includes(bundled));
  gitOutput(clone, ['fsck', '--strict']);
  assert.ok(server.started().length > 0);

  await runGit(['clone', '-q', '--bare', url, `${clone}-plain`]);
  assert.equal(gitOutput(`${clone}-plain`, ['rev-parse', 'main']), newest);
  assert.deepEqual(server.downloads, [BUNDLE]);
});
