import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { assertLinearTime } from '#testkit/measure/time-growth';
import { applyDelta } from '../database/apply-delta.ts';
import { encodeDelta } from './encode-delta.ts';

/** Texts of few lines, so that two of them have many lines in common. */
const texts = fc
  .array(fc.integer({ min: 0, max: 40 }), { maxLength: 300 })
  .map((lines) => Buffer.from(lines.map((line) => `a line of some text, number ${line}\n`).join('')));
const objects = fc.oneof(
  texts,
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
);

test('a delta turns its base into its target, within the limit', () => {
  fc.assert(
    fc.property(objects, objects, fc.integer({ min: 0, max: 12_000 }), (base, target, limit) => {
      const delta = encodeDelta(base, target, limit);
      if (delta === undefined) {
        assert.ok(limit < target.length * 1.01 + 10);
        return;
      }
      assert.ok(delta.length <= limit + 16);
      assert.ok(applyDelta(base, delta, target.length).equals(target));
    }),
  );
});

test('a line that was inserted, changed or removed takes some bytes', () => {
  const lines = Array.from({ length: 2000 }, (_, line) => `line ${line * 7919}\n`);
  const base = Buffer.from(lines.join(''));
  for (const [start, count, added] of [
    [1000, 0, ['new\n']],
    [10, 1, ['changed\n']],
    [1990, 5, []],
  ] as const) {
    const target = Buffer.from(lines.toSpliced(start, count, ...added).join(''));
    const delta = encodeDelta(base, target, target.length) ?? assert.fail('none');
    assert.ok(delta.length < 60, `${delta.length} bytes`);
    assert.ok(applyDelta(base, delta, target.length).equals(target));
  }
});

test('copies of more than 64 KiB, and positions of three bytes, are encoded', () => {
  const base = Buffer.from(Array.from({ length: 200_000 }, (_, at) => ((at * at) % 251) ^ (at >> 9)));
  const target = Buffer.concat([base.subarray(70_000), Buffer.from('between'), base.subarray(0, 140_000)]);
  const delta = encodeDelta(base, target, 1000) ?? assert.fail('none');
  assert.ok(applyDelta(base, delta, target.length).equals(target));
});

for (const [what, base, target] of [
  ['equal bytes', 'a', 'ab'],
  ['blocks of equal hashes', 'abcdefghijklmnop', 'abcdefghijklmno'],
] as const)
  test(`the time is linear with ${what}`, async () => {
    await assertLinearTime((size) =>
      encodeDelta(Buffer.from(base.repeat(size)), Buffer.from(target.repeat(size)), size),
    );
  });
