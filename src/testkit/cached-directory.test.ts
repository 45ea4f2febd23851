import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cachedDirectory } from './cached-directory.ts';

// The first runs of three processes made the same directory, and one removed that of another.
test('a directory that another process has made meanwhile stays; those of other facts go', (t) => {
  const name = `test-${process.pid}`;
  const old = cachedDirectory(name, 'old');
  const ours = cachedDirectory(name, 'ours');
  t.after(() => {
    for (const path of [old.path, ours.path]) rmSync(path, { recursive: true, force: true });
  });
  mkdirSync(old.draft);
  old.keep();
  mkdirSync(ours.path);
  writeFileSync(join(ours.path, 'file'), 'of another process');
  mkdirSync(ours.draft);
  writeFileSync(join(ours.draft, 'file'), 'ours');

  ours.keep();

  assert.equal(readFileSync(join(ours.path, 'file'), 'utf8'), 'of another process');
  assert.equal(existsSync(ours.draft), false);
  assert.equal(existsSync(old.path), false);
});
