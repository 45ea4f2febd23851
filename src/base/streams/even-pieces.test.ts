import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { evenPieces, evenStream } from './even-pieces.ts';

const cut = (texts: readonly string[], maxBytes: number): string[] =>
  [
    ...evenPieces(
      texts.map((text) => Buffer.from(text)),
      maxBytes,
    ),
  ].map(String);

test('small pieces are joined, large ones are split', () => {
  assert.deepEqual(cut(['a', 'b', '', 'c', 'd', 'efghi', 'j', 'k'], 3), ['abc', 'd', 'efg', 'hij', 'k']);
  assert.deepEqual(cut(['', ''], 3), []);
});

test('a piece of the right size is passed on unchanged', () => {
  const piece = Buffer.from('abc');
  assert.equal([...evenPieces([piece], 3)][0], piece);
});

test('nothing is lost, and no piece is larger than the limit', () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ unit: 'binary-ascii' })),
      fc.integer({ min: 1, max: 9 }),
      (texts, maxBytes) => {
        const pieces = cut(texts, maxBytes);
        assert.equal(pieces.join(''), texts.join(''));
        assert.ok(pieces.every(({ length }) => length > 0 && length <= maxBytes));
      },
    ),
  );
});

test('a stream that fails has yielded what came before', async () => {
  async function* source(): AsyncGenerator<Buffer> {
    for (const text of ['a', 'b', 'cd', 'e']) yield Buffer.from(text);
    throw new Error('broken');
  }
  const pieces: string[] = [];

  const reading = (async () => {
    for await (const piece of evenStream(source(), 3)) pieces.push(String(piece));
  })();

  await assert.rejects(reading, /^Error: broken$/);
  assert.deepEqual(pieces, ['ab', 'cde']);
});
