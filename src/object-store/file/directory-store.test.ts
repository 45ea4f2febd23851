import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { DirectoryStore } from './directory-store.ts';

const { signal } = new AbortController();

// Born failing: a backup of many repositories reads some small objects for each, of 128 KiB each.
test('a small object is read into little memory, also its last bytes alone', async (context) => {
  const directory = makeScratchDirectory('directory-store');
  context.after(() => rmSync(directory, { recursive: true }));
  const content = randomBytes(40_000);
  writeFileSync(join(directory, 'small'), content);
  const store = new DirectoryStore(directory);

  const whole = await Array.fromAsync(store.get('small', { signal }));
  const end = await Array.fromAsync(store.get('small', { range: { start: 39_990, length: 100 }, signal }));
  const beyond = await Array.fromAsync(store.get('small', { range: { start: 50_000 }, signal }));

  assert.deepEqual(whole, [content]);
  assert.equal(whole[0]?.buffer.byteLength, content.length);
  assert.deepEqual(end, [content.subarray(39_990)]);
  assert.deepEqual(beyond, []);
});
