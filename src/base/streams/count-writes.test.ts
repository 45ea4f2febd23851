import assert from 'node:assert/strict';
import { Writable } from 'node:stream';
import { test } from 'node:test';
import { writeChunk } from './copy-stream.ts';
import { countWrites } from './count-writes.ts';

test('bytes are counted and arrive unchanged, with back-pressure', async () => {
  const received: Buffer[] = [];
  const stream = new Writable({
    highWaterMark: 4,
    write(chunk: Buffer, _, done) {
      received.push(chunk);
      setImmediate(done);
    },
  });
  const count = countWrites(stream);

  assert.ok(writeChunk(stream, Buffer.from('abcdef')) instanceof Promise, 'the buffer is full');
  await writeChunk(stream, Buffer.from('gh'));

  assert.equal(count(), 8);
  await new Promise<void>((resolve) => stream.end(resolve));
  assert.equal(Buffer.concat(received).toString(), 'abcdefgh');
});
