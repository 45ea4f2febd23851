import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';

test('every served method is called by a test of its own, besides the recordings', () => {
  const rows = readFileSync(new URL('../docs/compatibility.md', import.meta.url), 'utf8').split('\n');
  const served = rows.filter((row) => / \| served \|/.test(row));

  assert.ok(served.length > 100);
  assert.deepEqual(
    served.filter((row) => !row.includes('.test.ts')).map((row) => row.split(' ')[1]),
    [],
  );
});
