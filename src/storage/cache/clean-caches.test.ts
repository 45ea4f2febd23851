import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import type { Storage } from '../repository-target.ts';
import { cacheRoot, stateRoot, tempRoot } from '../storage-layout.ts';
import { CACHE_MAX_AGE_MS, cleanCaches, retireCache } from './clean-caches.ts';

function tempStorage(context: TestContext): Storage {
  const directory = makeScratchDirectory('clean');
  context.after(() => rmSync(directory, { recursive: true, force: true }));
  return { name: 'default', path: directory };
}

function write(file: string, ageMs: number): void {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, 'x');
  const seconds = (Date.now() - ageMs) / 1000;
  utimesSync(file, seconds, seconds);
}

test('old files and empty directories go, young files stay', async (context) => {
  const storage = tempStorage(context);
  write(`${cacheRoot(storage)}/aa/old`, CACHE_MAX_AGE_MS + 1000);
  write(`${cacheRoot(storage)}/bb/young`, 0);
  write(`${stateRoot(storage)}/a/x.git/latest`, CACHE_MAX_AGE_MS + 1000);

  await cleanCaches(storage);

  assert.deepEqual(readdirSync(cacheRoot(storage)), ['bb']);
  assert.deepEqual(readdirSync(stateRoot(storage)), []);
});

test('the cache of an earlier process is out of use at once and can be deleted later', async (context) => {
  const storage = tempStorage(context);
  write(`${cacheRoot(storage)}/aa/old`, 0);

  const retired = await retireCache(storage);
  assert.equal(existsSync(cacheRoot(storage)), false);
  await retired?.[Symbol.asyncDispose]();

  assert.deepEqual(readdirSync(tempRoot(storage)), []);
});

test('without a cache there is nothing to retire', async (context) => {
  const storage = tempStorage(context);

  assert.equal(await retireCache(storage), undefined);
  assert.deepEqual(readdirSync(tempRoot(storage)), []);
});

test('an abort ends the cleaning after a directory', async (context) => {
  const storage = tempStorage(context);
  const enough = new Error('enough');
  for (const name of ['aa', 'bb']) write(`${cacheRoot(storage)}/${name}/old`, CACHE_MAX_AGE_MS + 1000);

  const cleaned = cleanCaches(storage, { signal: AbortSignal.abort(enough) });
  await assert.rejects(cleaned, { name: 'AbortError', cause: enough });

  assert.equal(readdirSync(cacheRoot(storage)).length, 1);
});
