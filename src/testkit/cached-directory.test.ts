import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { cachedDirectory } from './cached-directory.ts';

const HOUR_MS = 3_600_000;

// At their first runs, three processes made the same directory, and one removed that of another.
test('a directory that another process has made meanwhile stays', (t) => {
  const ours = cachedDirectory('test-made-twice', 'ours');
  t.after(() => rmSync(ours.path, { recursive: true, force: true }));
  mkdirSync(ours.path);
  writeFileSync(join(ours.path, 'file'), 'of another process');
  mkdirSync(ours.draft);
  writeFileSync(join(ours.draft, 'file'), 'ours');

  ours.keep();

  assert.equal(readFileSync(join(ours.path, 'file'), 'utf8'), 'of another process');
  assert.equal(existsSync(ours.draft), false);
});

// Tests that use the PostgreSQL of the npm package removed the directory that others were copying.
test('directories of other facts go when they are out of use for hours, not before', (t) => {
  const unused = keptLongAgo(t, 'unused');
  const used = keptLongAgo(t, 'used');
  cachedDirectory('test-aged', 'used');

  const ours = keptLongAgo(t, 'ours');

  assert.deepEqual([unused, used, ours].map(existsSync), [false, true, true]);
});

function keptLongAgo(t: TestContext, facts: string): string {
  const made = cachedDirectory('test-aged', facts);
  t.after(() => rmSync(made.path, { recursive: true, force: true }));
  mkdirSync(made.draft);
  made.keep();
  const then = new Date(Date.now() - 3 * HOUR_MS);
  utimesSync(made.path, then, then);
  return made.path;
}
