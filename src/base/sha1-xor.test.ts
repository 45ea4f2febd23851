import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { Sha1Xor } from './sha1-xor.ts';

const sha1 = (bytes: Uint8Array): Buffer => createHash('sha1').update(bytes).digest();

test('the sum of one string is its SHA-1, at every length around the ends of blocks', () => {
  for (let length = 0; length < 200; length++) {
    const bytes = Buffer.alloc(length, 'xyz');
    const sum = new Sha1Xor();
    sum.add(bytes);
    assert.deepEqual(sum.digest(), sha1(bytes), `${length} bytes`);
  }
});

test('the sum is the exclusive or of the hashes', () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }), (strings) => {
      const sum = new Sha1Xor();
      const expected = Buffer.alloc(20);
      for (const bytes of strings) {
        sum.add(bytes);
        for (const [index, byte] of sha1(bytes).entries()) expected[index] = (expected[index] ?? 0) ^ byte;
      }
      assert.deepEqual(sum.digest(), expected);
    }),
  );
});

test('a string that is added twice, alone or in a sum, is removed', () => {
  const [all, rest] = [new Sha1Xor(), new Sha1Xor()];
  for (const text of ['a', 'b', 'c']) all.add(Buffer.from(text));
  for (const text of ['a', 'b']) rest.add(Buffer.from(text));

  all.add(Buffer.from('c'));
  assert.deepEqual(all.digest(), rest.digest());
  all.addSum(rest.words());
  assert.deepEqual(all.digest(), Buffer.alloc(20));
});

test('a part of a buffer is hashed', () => {
  const sum = new Sha1Xor();

  sum.add(Buffer.from('--inside--'), 2, 8);

  assert.deepEqual(sum.digest(), sha1(Buffer.from('inside')));
});
