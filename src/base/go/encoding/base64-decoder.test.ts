import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { Base64Decoder } from './base64-decoder.ts';

function decode(...pieces: string[]): string {
  const decoder = new Base64Decoder();
  const out = pieces.map((piece) => decoder.push(Buffer.from(piece)));
  decoder.end();
  return Buffer.concat(out).toString('latin1');
}

test('encoded text is decoded, wherever it is split into chunks and lines', () => {
  const cut = fc.record({
    bytes: fc.uint8Array({ maxLength: 5000 }),
    sizes: fc.array(fc.integer({ min: 1, max: 2000 })),
  });

  fc.assert(
    fc.property(cut, ({ bytes, sizes }) => {
      const text = Buffer.from(bytes)
        .toString('base64')
        .replace(/(.{76})/g, '$1\r\n');
      const pieces: string[] = [];
      let at = 0;
      for (const size of sizes) {
        pieces.push(text.slice(at, at + size));
        at += size;
      }

      assert.equal(decode(...pieces, text.slice(at)), Buffer.from(bytes).toString('latin1'));
    }),
  );
});

for (const [text, message] of [
  ['YQ', 'unexpected EOF'],
  ['Y', 'unexpected EOF'],
  ['YQ===', 'unexpected EOF'],
  ['YWJj YWJj', 'illegal base64 data at input byte 4'],
  ['YWJ*', 'illegal base64 data at input byte 3'],
  ['-_aa', 'illegal base64 data at input byte 0'],
  ['YQ==YQ==', 'illegal base64 data at input byte 4'],
  ['YWI=YQ==', 'illegal base64 data at input byte 4'],
  ['YQ=a', 'illegal base64 data at input byte 2'],
  ['Y===', 'illegal base64 data at input byte 1'],
  [`${'A'.repeat(1028)}*AAA`, 'illegal base64 data at input byte 4'],
] as const) {
  test(`${text.slice(-12)} is refused: ${message}`, () => {
    assert.throws(() => decode(text), { name: 'Base64Error', message });
  });
}

test('padding in one chunk and more data in the next are refused', () => {
  assert.throws(() => decode('YQ==', 'YQ=='), { message: 'illegal base64 data at input byte 4' });
});

test('a line feed inside the padding, and stray bits before it, are accepted', () => {
  assert.equal(decode('YR=\n='), 'a');
});
