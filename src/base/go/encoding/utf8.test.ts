import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { textOfUtf8 } from './utf8.ts';

test('each byte that is no UTF-8 is a character of its own', () => {
  assert.equal(textOfUtf8(Buffer.from('a\xe2\x82b\xf0\x9f\x98\xff', 'latin1')), 'a��b����');
  assert.equal(textOfUtf8(Buffer.from('é€😀\xff', 'utf8')), 'é€😀ÿ');
  assert.equal(textOfUtf8(Buffer.concat([Buffer.from('é€😀'), Buffer.of(0xff)])), 'é€😀�');
});

test('UTF-8 is read as it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      assert.equal(textOfUtf8(Buffer.from(text)), text);
      assert.equal(textOfUtf8(Buffer.concat([Buffer.from(text), Buffer.of(0x80)])), `${text}�`);
    }),
  );
});
