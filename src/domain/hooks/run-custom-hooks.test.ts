import assert from 'node:assert/strict';
import { chmodSync, existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { type TestContext, test } from 'node:test';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { until } from '#testkit/until';
import { CapturedOutput } from './captured-output.ts';
import type { HookOutput } from './hook-output.ts';
import { copyOutput, runCustomHooks } from './run-custom-hooks.ts';

async function run(
  t: TestContext,
  text: string,
  options: { output?: HookOutput; signal?: AbortSignal } = {},
): Promise<string> {
  const fixture = await StorageFixture.create();
  t.after(() => fixture[Symbol.asyncDispose]());
  const repository = fixture.init('x.git');
  const script = join(repository.path, 'script');
  writeFileSync(script, `#!/bin/sh\n${text}\n`);
  chmodSync(script, 0o755);
  const output = new CapturedOutput();
  await runCustomHooks(repository.git, {
    scripts: [script],
    args: [],
    stdin: Buffer.alloc(0),
    env: { PATH: process.env.PATH ?? '' },
    repositoryPath: repository.path,
    output: options.output ?? output,
    signal: options.signal ?? new AbortController().signal,
  });
  return output.stdoutBytes.toString();
}

// Before, a hook that started `long-task &` or a daemon blocked its push until that process ended,
// often for ever.
for (const [name, left] of [
  ['a process in the background', 'sleep 5 &'],
  ['a process in a session of its own', 'setsid sleep 5 &'],
] as const) {
  test(`a script that leaves ${name} is over a second after its exit`, async (t) => {
    const start = performance.now();

    const printed = await run(t, `echo before\n${left}\necho after`);

    assert.equal(printed, 'before\nafter\n');
    const took = performance.now() - start;
    assert.ok(took >= 900 && took < 4_500, `${took} ms`);
  });
}

test('output within a second after the exit is delivered, and later output is not', async (t) => {
  const printed = await run(t, '(sleep 0.3; echo late; sleep 5; echo too late) &\necho first');

  assert.equal(printed, 'first\nlate\n');
});

test('a process that prints without end does not hold a script that has exited', async (t) => {
  let bytes = 0;
  const output: HookOutput = {
    stdout: async (piece) => {
      bytes += piece.length;
    },
    stderr: async () => {},
  };

  await run(t, '(while echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; do :; done) &', { output });

  assert.ok(bytes > 0);
});

test('a slow reader gets all that was printed before the exit', async (t) => {
  const pieces: Buffer[] = [];
  const output: HookOutput = {
    stdout: async (piece) => {
      pieces.push(Buffer.from(piece));
      await delay(700); // longer than output may follow the exit
    },
    stderr: async () => {},
  };

  await run(t, 'sleep 5 &\nseq 1 20000', { output });

  const lines = Buffer.concat(pieces).toString().trimEnd().split('\n');
  assert.equal(lines.length, 20_000);
  assert.equal(lines.at(-1), '20000');
});

test('a script that is ended is over when nothing of its process group is left', async (t) => {
  const ending = new AbortController();
  const fixture = await StorageFixture.create();
  t.after(() => fixture[Symbol.asyncDispose]());
  const pidFile = join(fixture.init('y.git').path, 'pid');
  const stubborn =
    `(trap '' TERM; while sleep 0.05; do :; done) & echo $! > ${pidFile}.new; mv ` +
    `${pidFile}.new ${pidFile}`;

  const running = run(t, `${stubborn}\nwait`, { signal: ending.signal });
  running.catch(() => {});
  await until(() => existsSync(pidFile));
  ending.abort();
  await assert.rejects(running);

  const pid = readFileSync(pidFile, 'utf8').trim();
  const status = existsSync(`/proc/${pid}/stat`) ? readFileSync(`/proc/${pid}/stat`, 'latin1') : ') Z';
  assert.match(status, /\) Z/);
});

test('a script does not start after the end of its call', async (t) => {
  const signal = AbortSignal.abort(new GitalyError('CANCELLED', 'context canceled'));

  await assert.rejects(run(t, 'exit 1', { signal }), { code: 'CANCELLED' });
});

test('the first script that fails ends the run, with its exit code', async () => {
  await using fixture = await StorageFixture.create();
  const { path, git } = fixture.init('x.git');
  const scripts = ['one', 'two', 'three'].map((name) => join(path, name));
  for (const [index, script] of scripts.entries()) {
    writeFileSync(script, `#!/bin/sh\necho "$0 $1 $(cat)"\nexit ${index * 4}\n`);
    chmodSync(script, 0o755);
  }
  const output = new CapturedOutput();
  const options = { args: ['a'], stdin: Buffer.from('in'), repositoryPath: path, output };
  const env = { PATH: process.env.PATH ?? '' };
  const { signal } = new AbortController();

  await assert.rejects(runCustomHooks(git, { ...options, scripts, env, signal }), {
    name: 'CustomHookError',
    message: `error executing "${path}/two": exit status 4`,
    exitCode: 4,
  });
  assert.equal(output.stdoutBytes.toString(), `${path}/one a in\n${path}/two a in\n`);

  // Go's words.
  const none = [join(path, 'none')];
  await assert.rejects(runCustomHooks(git, { ...options, scripts: none, env, signal }), {
    message: `starting process [${path}/none a]: fork/exec ${path}/none: no such file or directory`,
  });
});

test('a piece is read when the one before has been written, and the copy ends after the last', async () => {
  const source = new PassThrough();
  const written: string[] = [];
  const gates = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  let isOver = false;
  const copied = copyOutput(source, new Promise(() => {}), async (bytes) => {
    const gate = gates[written.length];
    written.push(Buffer.from(bytes).toString());
    await gate?.promise;
  }).finally(() => {
    isOver = true;
  });

  source.write('one');
  await nextTurn();
  source.end('two');
  await nextTurn();
  assert.deepEqual(written, ['one']);

  gates[0]?.resolve();
  await nextTurn();
  await nextTurn();
  assert.deepEqual(written, ['one', 'two']);
  assert.equal(isOver, false);

  gates[1]?.resolve();
  await copied;
});

test('a reader that fails ends the copy with its error', async () => {
  const source = new PassThrough();
  source.write('one');

  const copied = copyOutput(source, new Promise(() => {}), () => Promise.reject(new Error('gone')));

  await assert.rejects(copied, { message: 'gone' });
});

test('output before the exit has no limit', async () => {
  const source = new PassThrough();
  const pieces = Array.from({ length: 40 }, () => Buffer.alloc(100_000));
  let bytes = 0;
  const copied = copyOutput(source, new Promise(() => {}), async (piece) => {
    bytes += piece.byteLength;
  });

  for (const piece of pieces) source.write(piece);
  source.end();
  await copied;

  assert.equal(bytes, 4_000_000);
});

// A push must not wait for a process that a script leaves behind.
test('what a process prints that outlives its hook is copied for a while, with a limit', async (context) => {
  const source = new PassThrough();
  const printing = setInterval(() => source.write(Buffer.alloc(64 * 1024)), 5);
  context.after(() => clearInterval(printing));
  let bytes = 0;
  let isOver = false;

  void copyOutput(source, Promise.resolve(), async (piece) => {
    bytes += piece.byteLength;
  }).then(() => {
    isOver = true;
  });

  await until(() => isOver);
  assert.ok(bytes > 1024 * 1024, String(bytes));
  assert.equal(source.listenerCount('error'), 0, 'it is read no further');
});

test('a process that outlives its hook and prints nothing is not waited for', async () => {
  const source = new PassThrough();

  await copyOutput(source, Promise.resolve(), async () => {});

  assert.equal(source.listenerCount('error'), 0);
});
