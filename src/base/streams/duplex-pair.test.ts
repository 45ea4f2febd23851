import assert from 'node:assert/strict';
import { once } from 'node:events';
import { buffer } from 'node:stream/consumers';
import { test } from 'node:test';
import { createDuplexPair } from './duplex-pair.ts';

test('what is written to one end is read from the other, in both directions', async () => {
  const [one, two] = createDuplexPair();

  one.end('to two');
  two.end('to one');

  assert.equal((await buffer(two)).toString(), 'to two');
  assert.equal((await buffer(one)).toString(), 'to one');
});

test('the chunks of a cork arrive as one, and never within the write', async () => {
  const [one, two] = createDuplexPair();
  const chunks: string[] = [];
  two.on('data', (chunk: Buffer) => chunks.push(chunk.toString()));

  one.cork();
  for (const piece of ['a', 'b', 'c']) one.write(piece);
  one.uncork();
  assert.deepEqual(chunks, []);

  one.end();
  await once(two, 'end');
  assert.deepEqual(chunks, ['abc']);
});

test('bytes may be overwritten when their write is complete', async () => {
  const [one, two] = createDuplexPair();
  const reused = Buffer.from('before');
  const { promise: isWritten, resolve } = Promise.withResolvers<void>();
  one.write(reused, () => resolve());
  await isWritten;

  reused.fill('x');
  one.end();

  assert.equal((await buffer(two)).toString(), 'before');
});

test('a slow reader delays the writer', async () => {
  const [one, two] = createDuplexPair();
  let written = 0;
  const piece = Buffer.alloc(100_000);
  for (let index = 0; index < 20; index++) one.write(piece, () => written++);
  await new Promise(setImmediate);
  assert.ok(written < 20, `${written} writes were completed`);

  one.end();
  assert.equal((await buffer(two)).length, 2_000_000);
  assert.equal(written, 20);
});

test('the other end sees a destruction, after all that was delivered', async () => {
  const [one, two] = createDuplexPair();
  one.write('the rest');
  await new Promise(setImmediate);
  one.destroy();

  assert.equal((await buffer(two)).toString(), 'the rest');
  if (!two.closed) await once(two, 'close');
});

test('a write to an end that is gone fails', async () => {
  const [one, two] = createDuplexPair();
  two.destroy(new Error('broken'));

  const error = await new Promise((resolve) => one.write('x', resolve));

  assert.ok(error instanceof Error);
  assert.equal(one.destroyed, true);
});

test('a write that waits for a reader fails when the reader is gone', async () => {
  const [one, two] = createDuplexPair();
  const failure = new Promise((resolve) => one.write(Buffer.alloc(1_000_000), resolve));
  await new Promise(setImmediate);

  two.destroy();

  assert.ok((await failure) instanceof Error);
});
