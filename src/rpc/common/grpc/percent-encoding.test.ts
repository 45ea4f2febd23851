import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { percentDecode, percentEncode } from './percent-encoding.ts';

test('plain ASCII is unchanged', () => {
  assert.equal(percentEncode('no such branch: "x"'), 'no such branch: "x"');
});

test('percent signs, control characters and UTF-8 are escaped', () => {
  assert.equal(percentEncode('100%\n'), '100%25%0A');
  assert.equal(percentEncode('grün'), 'gr%C3%BCn');
  assert.equal(percentEncode('\x7f'), '%7F');
});

test('a space at an end is escaped, because otherwise the whole header would be lost', () => {
  assert.equal(percentEncode('running hooks: '), 'running hooks:%20');
  assert.equal(percentEncode('  a b '), '%20 a b%20');
  assert.equal(percentEncode(' '), '%20');
});

test('malformed escapes are kept', () => {
  assert.equal(percentDecode('100%'), '100%');
  assert.equal(percentDecode('%zz%4'), '%zz%4');
  assert.equal(percentDecode('%C3%BC%'), 'ü%');
});

test('bytes that are not UTF-8 do not lose the message', () => {
  assert.equal(percentDecode('a%FFb'), 'a\ufffdb');
});

test('any message is decoded as it was encoded', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      (text) => percentDecode(percentEncode(text)) === text.toWellFormed(),
    ),
  );
});
