import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isLocalPath } from './is-local-path.ts';

test('a path is local when it never leaves where it begins', () => {
  for (const path of ['a', 'a/b', '.', 'a/..', 'a/../b', './a', 'a//b/../..', '...'])
    assert.equal(isLocalPath(Buffer.from(path)), true, path);
  for (const path of ['', '/', '/a', '..', 'a/../..', '../a', 'a/../../a'])
    assert.equal(isLocalPath(Buffer.from(path)), false, path);
});
