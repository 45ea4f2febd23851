import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { decodeSketch, encodeSketch, resemblance, SKETCH_SIZE, sketchOf } from './sketch.ts';

const words = fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 60 });

/** Returns the share of common sequences of three words. */
function jaccard(one: readonly string[], other: readonly string[]): number {
  const triples = (list: readonly string[]) =>
    new Set(list.slice(2).map((_, at) => list.slice(at, at + 3).join(' ')));
  const [a, b] = [triples(one), triples(other)];
  const all = a.union(b).size;
  return all === 0 ? 0 : a.intersection(b).size / all;
}

test('short texts are compared exactly', () => {
  fc.assert(
    fc.property(words, words, (one, other) => {
      assert.equal(resemblance(sketchOf(one), sketchOf(other)), jaccard(one, other));
    }),
  );
});

test('long texts are compared with a small error', () => {
  const text = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => `w${from + at}`);
  for (const shared of [0, 1000, 3000, 5000]) {
    const [one, other] = [text(0, 5000), text(5000 - shared, 10_000 - shared)];
    const estimate = resemblance(sketchOf(one), sketchOf(other));
    assert.ok(Math.abs(estimate - jaccard(one, other)) < 0.1, `${shared}: ${estimate}`);
  }
});

test('a sketch survives its text form', () => {
  fc.assert(
    fc.property(words, (list) => {
      const sketch = sketchOf(list);
      assert.ok(sketch.length <= SKETCH_SIZE);
      assert.deepEqual(decodeSketch(encodeSketch(sketch)), sketch);
    }),
  );
});
