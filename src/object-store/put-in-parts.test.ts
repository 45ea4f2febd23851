import assert from 'node:assert/strict';
import { test } from 'node:test';
import { putInParts } from './put-in-parts.ts';

/** Stores bytes in parts of 10, 10, 20 and 20 bytes. @returns the lengths of the parts. */
async function partsOf(...pieces: readonly Uint8Array[]): Promise<number[]> {
  const lengths: number[] = [];
  const stored: Buffer[] = [];
  const put = async (part: Buffer): Promise<void> => {
    lengths.push(part.length);
    stored.push(Buffer.from(part));
  };
  const take = async (parts: AsyncIterable<Buffer>): Promise<string> => {
    for await (const part of parts) await put(part);
    return 'parts';
  };
  await putInParts(streamOf(pieces), {
    ...{ partBytes: 10, maxParts: 4, partsPerSize: 2 },
    tooLarge: () => new Error('too large'),
    putWhole: (content) => put(content).then(() => 'whole'),
    putParts: take,
    toError: (error) => error,
  });
  assert.deepEqual(Buffer.concat(stored), Buffer.concat(pieces));
  return lengths;
}

async function* streamOf(pieces: readonly Uint8Array[]): AsyncGenerator<Uint8Array> {
  yield* pieces;
}

/** Returns different bytes. */
function bytes(length: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, index) => index));
}

test('an object that is smaller than a part is stored at once', async () => {
  assert.deepEqual(await partsOf(), [0]);
  assert.deepEqual(await partsOf(bytes(9)), [9]);
  assert.deepEqual(await partsOf(bytes(4), bytes(5)), [9]);
});

test('parts grow, and the last one may be smaller', async () => {
  assert.deepEqual(await partsOf(bytes(10)), [10]);
  assert.deepEqual(await partsOf(bytes(11)), [10, 1]);
  assert.deepEqual(await partsOf(bytes(5), bytes(30), bytes(6)), [10, 10, 20, 1]);
});

// Born failing: one more part was sent, of the bytes that remained.
test('an object of more parts than the service takes is refused', async () => {
  assert.deepEqual(await partsOf(bytes(59)), [10, 10, 20, 19]);
  assert.deepEqual(await partsOf(bytes(60)), [10, 10, 20, 20]);
  for (const pieces of [[bytes(61)], [bytes(60), bytes(1)], [bytes(100)]])
    await assert.rejects(partsOf(...pieces), /too large/);
});
