import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fc } from '#testkit/fast-check';
import { partOfKey, pathKey, pathOfKey, repositoryKeys } from './keys.ts';

test('the path of a key, and the id of one, are those that it was made of', () => {
  const name = fc.string({ minLength: 1, unit: 'grapheme' });
  fc.assert(
    fc.property(name, fc.integer({ min: 1, max: 1e9 }), (text, n) => {
      assert.equal(pathOfKey(pathKey(text, n)), text);
      assert.deepEqual(partOfKey(repositoryKeys(text).generation(n)), { id: text, part: 'g' });
    }),
  );
});

test('keys of other programs have neither', () => {
  for (const key of ['path/x', 'path/100%/000000000001', 'path/a b/000000000001', 'path/a/b/000000000001'])
    assert.equal(pathOfKey(key), undefined, key);
  for (const key of ['r/100%/g/000000000001', 'r/a b/floor']) assert.equal(partOfKey(key), undefined, key);
});
