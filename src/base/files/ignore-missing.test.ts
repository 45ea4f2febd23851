import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { ignoreMissing } from './ignore-missing.ts';

test('a file that does not exist is undefined, whatever is above it', async () => {
  for (const path of [`${import.meta.dirname}/missing/x`, `${import.meta.filename}/x`])
    assert.equal(await readFile(path).catch(ignoreMissing), undefined, path);
});

test('other errors are thrown', async () => {
  await assert.rejects(readFile(import.meta.dirname).catch(ignoreMissing), { code: 'EISDIR' });
  assert.throws(() => ignoreMissing(new Error('ENOENT')), { message: 'ENOENT' });
});
