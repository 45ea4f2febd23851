import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasContent, requestedContent } from './requested-content.ts';

// As RFC 9110, section 13.1.2, has it.
const CASES = [
  { header: '"a"', has: true },
  { header: '"b", "a"', has: true },
  { header: 'W/"a"', has: true },
  { header: '*', has: true },
  { header: '"b"', has: false },
  { header: 'a', has: false },
  { header: undefined, has: false },
];

for (const { header, has } of CASES)
  test(`a client with If-None-Match ${header} ${has ? 'has' : 'lacks'} the content "a"`, () => {
    assert.equal(hasContent({ 'if-none-match': header }, '"a"'), has);
  });

test('a part is sent only of the content that the client has begun', () => {
  const content = { etag: '"a"', sizeBytes: 10 };

  const same = requestedContent({ range: 'bytes=2-4', 'if-range': '"a"' }, content);
  const other = requestedContent({ range: 'bytes=2-4', 'if-range': '"b"' }, content);

  assert.deepEqual([same.status, same.range], [206, { start: 2, length: 3 }]);
  assert.equal(same.headers['Content-Range'], 'bytes 2-4/10');
  assert.deepEqual([other.status, other.range], [200, { start: 0, length: 10 }]);
});
