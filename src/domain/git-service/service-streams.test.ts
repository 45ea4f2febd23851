import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { gitCommand } from '#git/command/git-command';
import { FLUSH, packet } from '#testkit/repositories/push';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { runLimited } from './run-limited.ts';
import { ClientGoneError, type ServiceStreams } from './service-streams.ts';

async function uploadPackBed() {
  const fixture = await StorageFixture.create();
  const repository = fixture.init('r.git', { commits: 1 });
  const blob = fixture.runGit(
    repository.path,
    ['hash-object', '-w', '--stdin'],
    randomBytes(2_000_000).toString('base64'),
  );
  const tree = fixture.runGit(repository.path, ['mktree'], `100644 blob ${blob}\tfile\n`);
  const oid = fixture.runGit(repository.path, ['commit-tree', '-m', 'big', tree]);
  fixture.runGit(repository.path, ['update-ref', 'refs/heads/main', oid]);
  const command = gitCommand('upload-pack', { args: [repository.path] });
  const request = Buffer.from(packet(`want ${oid} side-band-64k\n`) + FLUSH + packet('done\n'));
  const run = (streams: ServiceStreams, signal = new AbortController().signal, timeoutMs?: number) => {
    const limit = timeoutMs === undefined ? undefined : ({ timeoutMs, until: 'flush' } as const);
    return runLimited(repository, command, { config: [], gitProtocol: '', streams, signal, limit });
  };
  return { request, run, [Symbol.asyncDispose]: () => fixture[Symbol.asyncDispose]() };
}

async function* halfOpen(...chunks: readonly Buffer[]): AsyncGenerator<Buffer> {
  yield* chunks;
  await new Promise(() => {});
}

/** A client that takes nothing. `arrived` resolves when git's output waits for it. */
function stuck(): Writable & { readonly arrived: Promise<void> } {
  const { promise: arrived, resolve } = Promise.withResolvers<void>();
  return Object.assign(new Writable({ highWaterMark: 1, write: () => resolve() }), { arrived });
}

for (const isDirect of [false, true]) {
  const kind = isDirect ? 'through one buffer' : 'chunk by chunk';

  test(`git ends, and with it the conversation, though the client does not (${kind})`, async () => {
    await using bed = await uploadPackBed();
    let bytes = 0;
    const stdout = new Writable({
      write(chunk, _encoding, done) {
        bytes += chunk.length;
        done();
      },
    });

    const { exit } = await bed.run({ input: halfOpen(bed.request), stdout, isDirect });

    assert.equal(exit.code, 0);
    assert.ok(bytes > 1_500_000);
    assert.equal(stdout.destroyed || stdout.writableEnded, false);
  });

  test(`an abort ends a conversation with a client that takes nothing (${kind})`, async () => {
    await using bed = await uploadPackBed();
    const abort = new AbortController();
    const stdout = stuck();
    const running = bed.run({ input: halfOpen(bed.request), stdout, isDirect }, abort.signal);
    await stdout.arrived;

    abort.abort();

    const { exit } = await running;
    assert.equal(exit.ended, 'context canceled');
  });

  test(`so does the limit for what it says (${kind})`, async () => {
    await using bed = await uploadPackBed();

    const { isTooSlow } = await bed.run({ input: halfOpen(), stdout: stuck(), isDirect }, undefined, 50);

    assert.equal(isTooSlow, true);
  });

  test(`a client that is gone ends git (${kind})`, async () => {
    await using bed = await uploadPackBed();
    const stdout = new PassThrough({ highWaterMark: 1 });
    const running = bed.run({ input: halfOpen(bed.request), stdout, isDirect });
    await until(() => stdout.readableLength > 0);

    stdout.destroy();

    await assert.rejects(running, ClientGoneError);
  });
}

test('input that breaks off is an end of input for git', async () => {
  await using bed = await uploadPackBed();
  async function* broken() {
    yield bed.request.subarray(0, 20);
    throw new Error('connection lost');
  }
  const stderr = new PassThrough().resume();

  const result = await bed.run({ input: broken(), stdout: new PassThrough().resume(), stderr });

  assert.equal(result.exit.code, 128);
  assert.equal(result.stderr, 'fatal: the remote end hung up unexpectedly\n');
});
