// Prints `no` if nothing that `make test-release` tests has changed since a commit, else `yes`:
//
//   node scripts/tests/needs-release-tests.ts [COMMIT]
//
// The default is CI_BASE, or where the branch has left origin/main.

import { spawnSync } from 'node:child_process';
import { globSync } from 'node:fs';
import { matchesGlob } from 'node:path';
import { changedFiles, testsThatReach } from './changed-tests.ts';
import { CLASSES } from './classes.ts';

/** Parts of the packages, the images and the pages, besides what the tests import. */
const INPUTS: readonly string[] = [
  'src/**',
  '{bin,deploy,docs,examples,man,proto}/**',
  'scripts/{build,packages,proto-packages}/**',
  'scripts/{build,make-*,set-up,generate-*}.*',
  '*.{json,md,example,yaml}',
  '{LICENSE*,NOTICE,Makefile}',
];
/** Files below these folders that are in no package. */
const NOT_INPUTS: readonly string[] = ['src/**/*.test.ts', 'src/**/fixtures/**', 'CHANGELOG.md'];

/** Reports whether a file is part of what is released. */
export function isReleased(file: string): boolean {
  const matches = (glob: string): boolean => matchesGlob(file, glob);
  return INPUTS.some(matches) && !NOT_INPUTS.some(matches);
}

/** @throws {Error} when the repository does not have the commit. */
function needsTests(commit: string): boolean {
  const files = changedFiles(commit);
  if (files.some(isReleased)) return true;
  const affected = testsThatReach(files);
  return CLASSES.release?.some(({ files }) => globSync(files).some((file) => affected.has(file))) ?? true;
}

/** Returns the commit to compare with; undefined where nothing is known of the main branch. */
function baseCommit(): string | undefined {
  const { status, stdout } = spawnSync('git', ['merge-base', 'HEAD', 'origin/main'], { encoding: 'utf8' });
  const base = stdout.trim();
  const head = spawnSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).stdout.trim();
  return status === 0 && base !== head ? base : undefined;
}

if (import.meta.main) {
  const commit = process.argv[2] ?? (process.env.CI_BASE || baseCommit());
  console.log(commit === undefined || needsTests(commit) ? 'yes' : 'no');
}
