import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { isInside, joinInside } from './relative-path.ts';

const CLEANED: readonly (readonly [string, string])[] = [
  ['x.git', '/s/x.git'],
  ['/x.git', '/s/x.git'],
  ['//x.git', '/s/x.git'],
  ['./x.git', '/s/x.git'],
  ['x.git/', '/s/x.git'],
  ['a/..//x.git', '/s/x.git'],
  ['@hashed/aa/bb/c.git', '/s/@hashed/aa/bb/c.git'],
  ['.', '/s'],
  ['', '/s'],
  ['..x', '/s/..x'],
  [' ', '/s/ '],
  ['a\nb', '/s/a\nb'],
];

for (const [given, expected] of CLEANED) {
  test(`${JSON.stringify(given)} below /s is ${JSON.stringify(expected)}`, () => {
    assert.equal(joinInside('/s', given), expected);
  });
}

for (const given of ['..', '../x', 'a/../../b', '/..', '../s2/x', 'x/../..', './..']) {
  test(`${given} leaves the directory`, () => {
    assert.equal(joinInside('/s', given), undefined);
  });
}

test('a sibling whose name starts alike is not inside', () => {
  assert.equal(isInside('/s', '/s2'), false);
  assert.equal(isInside('/s', '/s/2'), true);
  assert.equal(isInside('/', '/anything'), true);
});

test('no mixture of dots and slashes leaves the directory', () => {
  const segment = fc.constantFrom('..', '.', '', 'a', 'b.git', '...', '..a');
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 12 }), (segments) => {
      const joined = joinInside('/storage/one', segments.join('/'));
      assert.ok(
        joined === undefined || (isInside('/storage/one', joined) && !joined.split('/').includes('..')),
      );
    }),
  );
});
