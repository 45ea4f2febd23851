import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPosition, parsePosition } from './list-position.ts';

// Symptom: behind 99,999 names that are not UTF-8, the API refused the cursor of its last page.
test('the position behind a page is read again, however far its token is', () => {
  for (const skip of [0, 99_999, 1_000_000]) {
    const position = { token: 'refs/heads/a b', skip };
    const next = parsePosition(formatPosition(position, 1, undefined));
    assert.deepEqual(next, { ...position, skip: skip + 1 });
  }
  assert.deepEqual(parsePosition(formatPosition({ token: 'a', skip: 7 }, 1, 'b')), { token: 'b', skip: 0 });
});
