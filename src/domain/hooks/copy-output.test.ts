import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { until } from '#testkit/until';
import { copyOutput } from './copy-output.ts';

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
