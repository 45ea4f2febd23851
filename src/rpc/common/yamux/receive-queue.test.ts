import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { ReceiveQueue } from './receive-queue.ts';

test('bytes are read in order, whatever the pieces and the pace', () => {
  const steps = fc.array(fc.oneof(fc.nat(20_000), fc.constant(undefined)), { maxLength: 60 });
  fc.assert(
    fc.property(steps, (sizes) => {
      const queue = new ReceiveQueue();
      const [put, got]: [Buffer[], Buffer[]] = [[], []];
      for (const [index, size] of sizes.entries()) {
        if (size === undefined) {
          const piece = queue.shift();
          if (piece !== undefined) got.push(piece);
          continue;
        }
        const piece = Buffer.alloc(size, index);
        put.push(piece);
        queue.push(piece);
        assert.equal(queue.bytes, sum(put) - sum(got));
      }
      for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) got.push(piece);

      assert.equal(queue.bytes, 0);
      assert.ok(Buffer.concat(got).equals(Buffer.concat(put)));
    }),
    { numRuns: 200 },
  );
});

test('a flood of tiny pieces is collected in few blocks', () => {
  const queue = new ReceiveQueue();
  const chunk = Buffer.alloc(64 * 1024);
  for (let at = 0; at < chunk.length; at += 1) queue.push(chunk.subarray(at, at + 1));

  let pieces = 0;
  for (let piece = queue.shift(); piece !== undefined; piece = queue.shift()) {
    assert.notEqual(piece.buffer, chunk.buffer, 'a tiny view would hold the whole chunk');
    pieces += 1;
  }

  assert.ok(pieces <= 5, `${pieces} blocks for 64 KiB`);
});

test('large pieces are not copied', () => {
  const queue = new ReceiveQueue();
  const piece = Buffer.alloc(10_000);

  queue.push(piece);

  assert.equal(queue.shift(), piece);
});

function sum(pieces: readonly Buffer[]): number {
  return pieces.reduce((total, piece) => total + piece.length, 0);
}
