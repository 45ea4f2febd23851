import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type TestContext, test } from 'node:test';
import { storageMapping } from '#gateway/index';
import { signUrl } from '#object-store/file/sign-url';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { startGitaly } from '#testkit/start-gitaly';
import { type HttpGatewayOptions, startHttpGateway } from './http-gateway.ts';
import type { PageSource } from './pages/page-source.ts';

/** Exit code of curl for a response that ended before its last byte. */
const PARTIAL_FILE = 18;
const BUNDLE = 'default/a.git/uri/1.bundle';
const BUNDLE_BYTES = 64 << 20;

/** Starts a gateway. @returns its address. */
async function open(context: TestContext, options: Partial<HttpGatewayOptions>): Promise<string> {
  const gitaly = await startGitaly();
  context.after(() => gitaly[Symbol.asyncDispose]());
  const http = await startHttpGateway({
    gitaly: { address: gitaly.address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
    ...options,
  });
  context.after(() => http.close());
  return http.url;
}

function curl(...args: string[]) {
  const child = spawn('curl', ['--silent', '--no-buffer', '--max-time', '20', ...args], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const code = once(child, 'close').then(([exitCode]) => exitCode as number | null);
  return { code, stdout: child.stdout };
}

for (const { name, error, expected } of [
  { name: 'ends with an error is cut', error: new Error('the page is gone'), expected: PARTIAL_FILE },
  { name: 'ends is complete', error: undefined, expected: 0 },
])
  test(`a stream of a page that ${name}`, async (context) => {
    const received = Promise.withResolvers<void>();
    const stream = async function* () {
      yield 'retry: 1\n\n';
      await received.promise;
      if (error !== undefined) throw error;
    };
    const pages: PageSource = {
      answer: async () => ({ status: 200, headers: {}, body: '', stream: stream() }),
    };
    const url = await open(context, { pages });

    const { code, stdout } = curl(`${url}/-/console/live`);
    stdout.once('readable', received.resolve);

    assert.equal(await text(stdout), 'retry: 1\n\n');
    assert.equal(await code, expected);
  });

test('a bundle whose file becomes shorter while it is sent is cut', async (context) => {
  const directory = makeScratchDirectory('cut');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  const [secretKeyPath, file] = [join(directory, 'key'), join(directory, 'bucket', BUNDLE)];
  const secret = Buffer.alloc(32, 1);
  writeFileSync(secretKeyPath, secret);
  mkdirSync(join(file, '..'), { recursive: true });
  writeFileSync(file, '');
  truncateSync(file, BUNDLE_BYTES);
  const url = await open(context, { bundles: { url: join(directory, 'bucket'), secretKeyPath } });
  const address = signUrl({ baseUrl: `${url}/-/bundles`, secret }, BUNDLE, 60_000);

  const whole = curl('--output', join(directory, 'whole'), address);
  assert.equal(await whole.code, 0);
  const { code, stdout } = curl(address);
  await once(stdout, 'readable'); // the pipe is full, and the gateway waits
  truncateSync(file, 1 << 20);
  stdout.resume();

  assert.equal(await code, PARTIAL_FILE);
});
