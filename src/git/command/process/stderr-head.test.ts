import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { StderrHead } from './stderr-head.ts';

/** Longer than any of these tests. */
const LONG_MS = 60_000;

test('the first 10,000 bytes are kept, and the rest is read', async () => {
  const stream = new PassThrough();
  const head = new StderrHead(stream);

  for (const piece of ['a'.repeat(9_999), 'bc', 'd']) {
    stream.write(piece);
    await nextTurn();
  }
  assert.equal(stream.readableLength, 0);
  assert.equal(head.bytes().toString(), `${'a'.repeat(9_999)}b`);
  stream.end('e');
  await head.complete(LONG_MS);

  assert.equal(head.bytes().length, 10_000);
});

test('bytes that come after they were asked for are kept, too', async () => {
  const stream = new PassThrough();
  const head = new StderrHead(stream);
  assert.equal(head.bytes().length, 0);

  for (const [piece, all] of [
    ['one', 'one'],
    ['two', 'onetwo'],
    ['three', 'onetwothree'],
  ] as const) {
    stream.write(piece);
    await nextTurn();
    assert.equal(head.bytes().toString(), all);
  }
  stream.destroy();
});

test('what is kept is no view of a larger chunk', async () => {
  const stream = new PassThrough();
  const head = new StderrHead(stream);
  const chunk = Buffer.from('before');
  stream.write(chunk);
  await nextTurn();

  chunk.write('after!');

  assert.equal(head.bytes().toString(), 'before');
  stream.destroy();
});

test('the end is waited for', async () => {
  const stream = new PassThrough();
  const head = new StderrHead(stream);
  const completed = head.complete(LONG_MS);
  await nextTurn();

  stream.end('late');
  await completed;

  assert.equal(head.bytes().toString(), 'late');
});

test('whoever holds the stream open is waited for no longer than the limit', async () => {
  const stream = new PassThrough();
  const head = new StderrHead(stream);
  stream.write('held');

  await head.complete(1);

  assert.equal(head.bytes().toString(), 'held');
  assert.equal(stream.destroyed, true);
});

test('nothing is waited for when the stream has ended, or is broken', async () => {
  const [ended, broken] = [new PassThrough(), new PassThrough()];
  const heads = [ended, broken].map((stream) => new StderrHead(stream));
  ended.end();
  broken.destroy(new Error('EIO'));
  await nextTurn();
  await nextTurn();

  await Promise.all(heads.map((head) => head.complete(LONG_MS)));

  assert.deepEqual(
    heads.map((head) => head.bytes().length),
    [0, 0],
  );
});
