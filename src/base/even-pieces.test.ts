import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { evenPieces } from './even-pieces.ts';

const cut = (texts: readonly string[], maxBytes: number): string[] =>
  [
    ...evenPieces(
      texts.map((text) => Buffer.from(text)),
      maxBytes,
    ),
  ].map(String);

test('small pieces are put together, large ones are cut', () => {
  assert.deepEqual(cut(['a', 'b', '', 'c', 'd', 'efghi', 'j', 'k'], 3), ['abc', 'd', 'efg', 'hij', 'k']);
  assert.deepEqual(cut(['', ''], 3), []);
});

test('a piece that needs neither is handed on as it is', () => {
  const piece = Buffer.from('abc');
  assert.equal([...evenPieces([piece], 3)][0], piece);
});

test('nothing is lost, and nothing is larger than allowed', () => {
  fc.assert(
    fc.property(fc.array(fc.string({ unit: 'binary-ascii' })), fc.integer({ min: 1, max: 9 }), (texts, maxBytes) => {
      const pieces = cut(texts, maxBytes);
      assert.equal(pieces.join(''), texts.join(''));
      assert.ok(pieces.every(({ length }) => length > 0 && length <= maxBytes));
    }),
  );
});
