import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, renameSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { SeenRepositories } from './seen-repositories.ts';

const scratch = makeScratchDirectory('seen');
after(() => rmSync(scratch, { recursive: true }));

/** Creates a directory for a repository. */
function makeRepository(): string {
  return mkdtempSync(join(scratch, 'repo-'));
}

/** A directory that a call has opened, and the time when the call began. */
function openedDirectory() {
  const path = makeRepository();
  const seen = new SeenRepositories();
  const sinceMs = performance.now();
  seen.note(path, statSync(path));
  return { path, seen, sinceMs };
}

test('a directory that stays has no change', () => {
  const { path, seen, sinceMs } = openedDirectory();

  assert.equal(seen.changeSince(path, sinceMs), undefined);
  assert.equal(seen.changeSince(`${path}/other`, sinceMs), undefined);
});

test('a directory that went away is removed for the calls that began before', () => {
  const { path, seen, sinceMs } = openedDirectory();
  renameSync(path, `${path}-away`);

  assert.equal(seen.changeSince(path, sinceMs), 'removed');
  assert.equal(seen.changeSince(path, performance.now()), undefined);
});

test('another directory at the path is a replacement, whether a later call opened it or not', () => {
  const { path, seen, sinceMs } = openedDirectory();
  renameSync(path, `${path}-away`);
  mkdirSync(path);

  assert.equal(seen.changeSince(path, sinceMs), 'replaced');
  seen.note(path, statSync(path));
  assert.equal(seen.changeSince(path, sinceMs), 'replaced');
  assert.equal(seen.changeSince(path, performance.now()), undefined);
});

test('a directory that was moved away and back counts as replaced', () => {
  const { path, seen, sinceMs } = openedDirectory();
  seen.noteMove(path);

  assert.equal(seen.changeSince(path, sinceMs), 'replaced');
});

// Born failing: after a replacement by hand, every failure of the first call was ABORTED.
test('a replacement between two calls is none for the second', () => {
  const { path, seen } = openedDirectory();
  renameSync(path, `${path}-away`);
  mkdirSync(path);

  const sinceMs = performance.now();
  seen.note(path, statSync(path));

  assert.equal(seen.changeSince(path, sinceMs), undefined);
});

// Born failing: a RestoreRepository that failed after the removal was NOT_FOUND.
test('a call that has moved the repository itself keeps its errors; others do not', () => {
  const path = makeRepository();
  const [mover, other] = [{}, {}];
  const seen = new SeenRepositories(() => mover);
  const sinceMs = performance.now();
  seen.note(path, statSync(path));
  renameSync(path, `${path}-away`);

  seen.noteMove(path);

  assert.equal(seen.changeSince(path, sinceMs, mover), undefined);
  assert.equal(seen.changeSince(path, sinceMs, other), 'removed');
});

test('a call that renames a repository has moved it from and to a path', () => {
  const mover = {};
  const seen = new SeenRepositories(() => mover);
  const sinceMs = performance.now();
  const paths = [makeRepository(), makeRepository()];
  for (const path of paths) seen.note(path, statSync(path));

  for (const path of paths) seen.noteMove(path);

  for (const path of paths) {
    assert.equal(seen.changeSince(path, sinceMs, mover), undefined);
    assert.equal(seen.changeSince(path, sinceMs, {}), 'replaced');
  }
});
