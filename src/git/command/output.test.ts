import assert from 'node:assert/strict';
import { chmodSync, existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { GitFixture } from '#testkit/repositories/git-fixture';
import { initRepository } from '#testkit/repositories/init-repository';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { flag, gitCommand } from './git-command.ts';
import { mergedOutput } from './merged-output.ts';
import { OutputBeforeFailure, outputBytes, outputLines } from './output.ts';
import { BulkPipe } from './process/bulk-pipe.ts';
import { GitExitError } from './process/exit-error.ts';
import { ignoringGitFailure, untilGitFails } from './until-git-fails.ts';

const directory = makeScratchDirectory('output');
const program = join(directory, 'git');
writeFileSync(
  program,
  '#!/bin/sh\ncase "$*" in version) echo git version 2.50.0;; *) eval "$SCRIPT";; esac\n',
);
chmodSync(program, 0o755);
/** Script that git runs instead of its work. */
let script = '';
const pids: number[] = [];
const git = await GitFixture.start({
  binary: program,
  environment: () => ({ SCRIPT: script }),
  observer: ({ pid }) => {
    pids.push(pid);
    return undefined;
  },
});
after(async () => {
  await git.close();
  rmSync(directory, { recursive: true });
});
const path = join(directory, 'x.git');
initRepository(path);
const repository = git.open(path);
const COMMAND = gitCommand('rev-list', { options: [flag('--all')] });
const FAILURE = { name: 'GitExitError', message: 'exit status 3', stderr: 'why\n' };

/** Sets what git does. */
function does(text: string): void {
  script = text;
}

function isRunning(pid: number | undefined): boolean {
  return existsSync(`/proc/${pid}`);
}

/** The readers of output, as texts in the pieces in which they yield it. */
type Reader = (options?: {
  readonly signal?: AbortSignal;
  readonly input?: Uint8Array;
}) => AsyncGenerator<string, void>;

const READERS: readonly { readonly what: string; readonly read: Reader; readonly withoutPipes?: boolean }[] =
  [
    { what: 'bytes', read: readBytes },
    { what: 'bytes, where we can open no pipes', read: readBytes, withoutPipes: true },
    {
      what: 'lines',
      async *read(options = {}) {
        for await (const lines of outputLines(repository, COMMAND, options))
          yield lines.map((line) => `${line}\n`).join('');
      },
    },
  ];

async function* readBytes(options: Parameters<Reader>[0] = {}): AsyncGenerator<string, void> {
  for await (const chunk of outputBytes(repository, COMMAND, options)) yield chunk.toString();
}

for (const { what, read, withoutPipes = false } of READERS) {
  test(`${what}: all output comes, then the failure of git`, async (context) => {
    if (withoutPipes) context.mock.method(BulkPipe, 'open', () => undefined);
    does('echo one; echo two; echo why >&2; exit 3');
    let text = '';

    const reading = (async () => {
      for await (const piece of read()) text += piece;
    })();

    await assert.rejects(reading, FAILURE);
    assert.equal(text, 'one\ntwo\n');
  });

  test(`${what}: git gets the input to its end, or none`, async (context) => {
    if (withoutPipes) context.mock.method(BulkPipe, 'open', () => undefined);
    does('cat; echo end');
    const all = async (input?: Uint8Array): Promise<string> =>
      (await Array.fromAsync(read(input === undefined ? {} : { input }))).join('');

    assert.equal(await all(Buffer.from('in\n')), 'in\nend\n');
    assert.equal(await all(), 'end\n');
    does('exit 3');
    await assert.rejects(all(Buffer.alloc(1 << 20)), { name: 'GitExitError', message: 'exit status 3' });
  });

  test(`${what}: an abort ends git and says so`, async (context) => {
    if (withoutPipes) context.mock.method(BulkPipe, 'open', () => undefined);
    does('echo one; sleep 60');
    const controller = new AbortController();
    const output = read({ signal: controller.signal });
    assert.deepEqual(await output.next(), { value: 'one\n', done: false });

    controller.abort();

    await assert.rejects(output.next(), /context canceled$/);
    assert.equal(isRunning(pids.at(-1)), false);
  });

  test(`${what}: a reader that leaves ends git`, async (context) => {
    if (withoutPipes) context.mock.method(BulkPipe, 'open', () => undefined);
    does('while :; do echo one; done');

    for await (const piece of read()) if (piece.length > 0) break;

    assert.equal(isRunning(pids.at(-1)), false);
  });
}

test('every reader waits for its turn to start git', async (context) => {
  const refusal = new Error('too many wait');
  context.mock.method(repository, 'spawnTurn', () => Promise.reject(refusal));
  const before = pids.length;

  for (const { read } of READERS) await assert.rejects(read().next(), refusal);
  await assert.rejects(mergedOutput(repository, COMMAND, { maxBytes: 1 }), refusal);

  assert.equal(pids.length, before);
});

test('an error of the pipe is thrown, although git succeeds', async (context) => {
  does('exit 0');
  const broken = new Error('broken');
  context.mock.method(BulkPipe.prototype, 'chunks', () => failing(broken));
  context.mock.method(BulkPipe.prototype, 'copyTo', () => Promise.reject(broken));

  await assert.rejects(readBytes().next(), broken);
  await assert.rejects(mergedOutput(repository, COMMAND, { maxBytes: 1 }), broken);
});

test('bytes: the environment and the settings of the call reach git', async () => {
  does('printf %s "$A"; printf " %s" "$@" | grep -o "a.b=c"');

  const output = outputBytes(repository, COMMAND, {
    env: { A: 'x' },
    config: [{ key: 'a.b', value: 'c' }],
  });

  assert.equal(Buffer.concat(await Array.fromAsync(output)).toString(), 'xa.b=c\n');
});

test('lines: the delimiter, the longest line and the environment are the caller’s', async () => {
  does('printf "$A"');
  const ask = async (text: string) =>
    (
      await Array.fromAsync(
        outputLines(repository, COMMAND, { env: { A: text }, delimiter: 0x2c, maxLineBytes: 3 }),
      )
    )
      .flat()
      .map(String);

  assert.deepEqual(await ask('a\n,bcd'), ['a\n', 'bcd']);
  await assert.rejects(ask('abcd,'), /line/);
});

test('lines: a command that may change references gets its hooks', async () => {
  does('printf "%s\\n" "$@" | grep hooksPath');
  const command = gitCommand('symbolic-ref', { args: ['HEAD'] });

  const lines = await Array.fromAsync(outputLines(repository, command, { hooks: 'disabled' }));

  assert.deepEqual(lines.flat().map(String), ['core.hooksPath=/dev/null']);
});

for (const withoutPipes of [false, true]) {
  const how = withoutPipes ? ', also without pipes of ours' : '';
  test(`both standard streams come together${how}`, async (context) => {
    if (withoutPipes) context.mock.method(BulkPipe, 'open', () => undefined);
    does('echo out; echo error >&2; exit 3');

    const { output, exit } = await mergedOutput(repository, COMMAND, { maxBytes: 1000 });

    assert.equal(output.toString(), 'out\nerror\n');
    assert.equal(exit.code, 3);
  });

  test(`of both streams the beginning is kept${how}`, async (context) => {
    if (withoutPipes) context.mock.method(BulkPipe, 'open', () => undefined);
    does('head -c 200000 /dev/zero | tr "\\0" x; echo y >&2');

    const { output, exit } = await mergedOutput(repository, COMMAND, { maxBytes: 100_000 });

    assert.equal(output.toString(), 'x'.repeat(100_000));
    assert.equal(exit.code, 0);
  });

  test(`an abort ends the wait for both streams${how}`, async (context) => {
    if (withoutPipes) context.mock.method(BulkPipe, 'open', () => undefined);
    does(`echo > ${directory}/started; sleep 60`);
    const controller = new AbortController();
    const merged = mergedOutput(repository, COMMAND, { maxBytes: 10, signal: controller.signal });
    await until(() => existsSync(`${directory}/started`), 'git runs');
    rmSync(`${directory}/started`);

    controller.abort();

    await assert.rejects(merged, { code: 'CANCELLED', message: 'context canceled' });
    assert.equal(isRunning(pids.at(-1)), false);
  });
}

test('of both streams a single byte is kept, too', async () => {
  does('printf x');

  assert.equal((await mergedOutput(repository, COMMAND, { maxBytes: 10 })).output.toString(), 'x');
});

test('output as long as the limit is returned, and one byte more is refused', async () => {
  does('printf 12345');

  assert.equal((await repository.run(COMMAND, { maxOutputBytes: 5 })).toString(), '12345');
  await assert.rejects(repository.run(COMMAND, { maxOutputBytes: 4 }), {
    code: 'RESOURCE_EXHAUSTED',
    message: 'output of git rev-list exceeds 4 bytes',
  });
  assert.equal(isRunning(pids.at(-1)), false);
});

test('output that comes in pieces is returned whole', async () => {
  does('head -c 300000 /dev/zero | tr "\\0" x; echo y');

  assert.equal((await repository.run(COMMAND)).toString(), `${'x'.repeat(300_000)}y\n`);
});

test('an abort while output is collected is the end of git', async () => {
  does(`echo one; echo > ${directory}/started; sleep 60`);
  const controller = new AbortController();
  const running = repository.run(COMMAND, { signal: controller.signal });
  await until(() => existsSync(`${directory}/started`), 'git runs');
  rmSync(`${directory}/started`);

  controller.abort();

  await assert.rejects(running, {
    name: 'GitExitError',
    message: 'signal: terminated: context canceled',
    signal: 'SIGTERM',
  });
});

test('output before a failure is read to its end, and the failure is kept', async () => {
  const read = async (output: OutputBeforeFailure): Promise<string> =>
    Buffer.concat(await Array.fromAsync(output)).toString();
  does('echo one; echo why >&2; exit 3');
  const failed = new OutputBeforeFailure(outputBytes(repository, COMMAND), undefined);

  assert.equal(await read(failed), 'one\n');
  assert.ok(failed.failure instanceof GitExitError);
  assert.equal(failed.failure.message, 'exit status 3');

  does('echo one');
  const fine = new OutputBeforeFailure(outputBytes(repository, COMMAND), undefined);
  assert.equal(await read(fine), 'one\n');
  assert.equal(fine.failure, undefined);
});

test('an abort, and an error that is not of git, is thrown after the output', async () => {
  does('exit 3');
  const aborted = new OutputBeforeFailure(outputBytes(repository, COMMAND), AbortSignal.abort());
  const broken = new Error('broken');
  const other = new OutputBeforeFailure(failing(broken), undefined);

  await assert.rejects(Array.fromAsync(aborted), { name: 'GitExitError' });
  await assert.rejects(Array.fromAsync(other), broken);
  await assert.rejects(Array.fromAsync(untilGitFails(failing(broken), () => {})), broken);
});

test('batches up to a failure of git are passed on, and the failure is told', async () => {
  does('echo one; echo why >&2; exit 3');
  const logged: unknown[] = [];
  const log = { add: (fields: unknown) => void logged.push(fields) };

  const lines = await Array.fromAsync(ignoringGitFailure(outputLines(repository, COMMAND), log));

  assert.deepEqual(lines.flat().map(String), ['one']);
  assert.deepEqual(logged, [{ git_error: 'exit status 3', git_stderr: 'why\n' }]);
});

// biome-ignore lint/correctness/useYield: it fails before
async function* failing(error: Error): AsyncGenerator<Buffer> {
  throw error;
}
