import assert from 'node:assert/strict';
import { PassThrough, Writable } from 'node:stream';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { fc } from '#testkit/fast-check';
import { encodeFrame, FrameReader, writeFrame } from './grpc-frame.ts';

function read(chunks: readonly Buffer[], maxBytes = 1000): { messages: Buffer[]; isInside: boolean } {
  const messages: Buffer[] = [];
  const reader = new FrameReader(maxBytes, (payload) => messages.push(payload));
  for (const chunk of chunks) reader.push(chunk);
  return { messages, isInside: reader.isInsideFrame };
}

test('messages are read as they were written, however the bytes are split', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 40 })),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 }),
      (messages, cuts) => {
        const bytes = Buffer.concat(messages.flatMap((message) => encodeFrame([message])));
        const chunks: Buffer[] = [];
        for (let offset = 0, i = 0; offset < bytes.length; i++) {
          const size = cuts[i % cuts.length] ?? 1;
          chunks.push(bytes.subarray(offset, offset + size));
          offset += size;
        }

        const result = read(chunks);

        assert.deepEqual(
          result.messages,
          messages.map((message) => Buffer.from(message)),
        );
        assert.equal(result.isInside, false);
      },
    ),
  );
});

test('a message inside one chunk is a view of it', () => {
  const chunk = Buffer.concat(encodeFrame([Buffer.from('abc')]));

  const [message] = read([chunk]).messages;

  assert.equal(message?.buffer, chunk.buffer);
});

test('an unfinished message is detected', () => {
  assert.equal(read([Buffer.from([0, 0])]).isInside, true);
  assert.equal(read([Buffer.from([0, 0, 0, 0, 2, 1])]).isInside, true);
});

test('a message above the limit is refused at its prefix, even if the prefix is split', () => {
  const refusal = {
    code: 'RESOURCE_EXHAUSTED',
    message: 'grpc: received message larger than max (1001 vs. 1000)',
  };

  assert.throws(() => read([Buffer.from([0, 0, 0, 3, 0xe9])]), refusal);
  assert.throws(() => read([Buffer.from([0, 0, 0]), Buffer.from([3, 0xe9])]), refusal);
});

test('an unknown flag is refused', () => {
  assert.throws(() => read([Buffer.from([2, 0, 0, 0, 0])]), {
    code: 'INTERNAL',
    message: 'grpc: received unexpected payload format 2',
  });
});

test('large chunks are passed on by reference', () => {
  const large = Buffer.alloc(100_000, 7);

  const frame = encodeFrame([Buffer.from('head'), large, Buffer.from('tail')]);

  assert.equal(frame.length, 3);
  assert.equal(frame[1], large);
  assert.deepEqual(read([Buffer.concat(frame)], 200_000).messages, [
    Buffer.concat([Buffer.from('head'), large, Buffer.from('tail')]),
  ]);
});

test('writing reports when the reader is slower', () => {
  const stream = new PassThrough({ highWaterMark: 50_000 });

  assert.equal(writeFrame(stream, encodeFrame([Buffer.alloc(10)])), true);
  assert.equal(writeFrame(stream, encodeFrame([Buffer.alloc(100_000)])), false);
});

test('a frame is reported when all of it is taken, and not after a failure', async () => {
  for (const size of [10, 100_000]) {
    const [taken, failed]: string[][] = [[], []];
    const writes: (() => void)[] = [];
    const stream = new Writable({ write: (_chunk, _encoding, done) => void writes.push(done) });
    writeFrame(stream, encodeFrame([Buffer.from('head'), Buffer.alloc(size)]), () => taken?.push('taken'));
    for (let done = writes.shift(); done !== undefined; done = writes.shift()) {
      assert.deepEqual(taken, []);
      done();
      await setImmediate();
    }
    assert.deepEqual(taken, ['taken']);

    stream.on('error', () => {});
    writeFrame(stream, encodeFrame([Buffer.alloc(size)]), () => failed?.push('taken'));
    stream.destroy(new Error('gone'));
    await setImmediate();
    assert.deepEqual(failed, []);
  }
});
