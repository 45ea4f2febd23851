import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { TEMPORARY_PREFIX } from '../object-key.ts';
import { PrefixedStore } from '../prefixed-store.ts';
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

// Symptom: of a store with `?prefix=`, incomplete objects stayed for ever.
test('incomplete objects of a prefix are removed, and no others', async (context) => {
  const directory = makeScratchDirectory('directory-store');
  context.after(() => rmSync(directory, { recursive: true }));
  const name = `${TEMPORARY_PREFIX}left`;
  mkdirSync(join(directory, 'own/a'), { recursive: true });
  for (const folder of ['', 'own/a']) writeFileSync(join(directory, folder, name), 'left');
  const store = new PrefixedStore(new DirectoryStore(directory), 'own/');

  const removed = await store.removeLeftovers({ beforeMs: Infinity, isDryRun: false, signal });

  assert.deepEqual(removed, { objects: 1, bytes: 4 });
  assert.deepEqual(readdirSync(directory).sort(), [name, 'own'].sort());
  assert.deepEqual(readdirSync(join(directory, 'own/a')), []);
});
