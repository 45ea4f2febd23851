import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseByteRange } from './byte-range.ts';

// RFC 9110, section 14.1.2, for an object of 10 bytes.
for (const [header, expected] of [
  [undefined, undefined],
  ['bytes=0-', { start: 0, length: 10 }],
  ['bytes=3-5', { start: 3, length: 3 }],
  ['bytes=9-9', { start: 9, length: 1 }],
  ['bytes=3-99', { start: 3, length: 7 }],
  ['bytes=-4', { start: 6, length: 4 }],
  ['bytes=-99', { start: 0, length: 10 }],
  ['bytes=10-', 'unsatisfiable'],
  ['bytes=-0', 'unsatisfiable'],
  ['bytes=5-3', undefined],
  ['bytes=0-1,3-4', undefined],
  ['bytes=-', undefined],
  ['lines=1-2', undefined],
  ['bytes=a-b', undefined],
] as const) {
  test(`${header} of 10 bytes`, () => {
    assert.deepEqual(parseByteRange(header, 10), expected);
  });
}

test('an empty object has no range', () => {
  assert.equal(parseByteRange('bytes=0-', 0), 'unsatisfiable');
});
