// Runs the tests of a class (classes.ts) with `node --test`:
//
//   node scripts/tests/run-tests.ts CLASS [--changed[=COMMIT]] [OPTION OF node --test …] [FILE …]
//
// A file with a failing test is run once more, alone, after all others, with the same seed: what
// fails only next to them is named at the end and does not fail the run, unless there are more than
// two such files. Files that search for lost data are not run again. With CI=1, a skipped test
// whose reason is not in skip-reasons.ts fails the run.

import { spawnSync } from 'node:child_process';
import { randomInt } from 'node:crypto';
import { changedTests } from './changed-tests.ts';
import { CLASSES, NEVER_AGAIN, type TestGroup } from './classes.ts';
import { filesOf, RESULTS, runTests, type TestRun } from './node-test.ts';
import { summarizeSkips, unacceptedSkips } from './skip-reasons.ts';
import { makeTemporaryDirectory } from './temporary-directory.ts';
import type { SkippedTest } from './test-results.ts';

/** More failing files than this are not run again: they have a common cause. */
const MAX_FILES_AGAIN = 8;
/** More files than this that pass only when they are run again fail the run. */
const MAX_FLAKY_FILES = 2;

/** The findings of all groups of a run. */
interface Totals {
  readonly flaky: string[];
  readonly skipped: SkippedTest[];
}

/** Runs the files of a group; returns the exit code. */
function runGroup(
  directory: string,
  group: TestGroup,
  args: { readonly options: readonly string[]; readonly files: readonly string[] },
  { flaky, skipped }: Totals,
): number {
  const options = [...group.options, ...args.options];
  const first = runTests(directory, group, options, args.files);
  skipped.push(...first.skipped);
  if (first.code === 0) return 0;
  const reason = whyNotAgain(first);
  if (reason !== undefined) {
    console.log(`\nFailed, and not run again: ${first.failed.join(' ')}\n${reason}`);
    return first.code;
  }
  console.log(`\nOnce more, alone: ${first.failed.join(' ')}\n`);
  const quiet = options.filter((option) => !option.startsWith('--test-concurrency'));
  const second = runTests(directory, group, [...quiet, '--test-concurrency=1'], first.failed);
  if (second.code === 0) flaky.push(...first.failed);
  return second.code;
}

/** Returns why files with failures are not run again, if they are not. */
function whyNotAgain({ failed }: TestRun): string | undefined {
  if (failed.length === 0 || !failed.every((file) => file.endsWith('.test.ts')))
    return 'A process ended without the result of its tests.';
  if (failed.length > MAX_FILES_AGAIN) return `More than ${MAX_FILES_AGAIN} files have failed.`;
  const lossy = failed.filter((file) => NEVER_AGAIN.test(file));
  return lossy.length > 0 ? `These look for lost data: ${lossy.join(' ')}` : undefined;
}

/**
 * Prints what the run has found out in addition to failures; returns the exit code that follows.
 */
function report({ flaky, skipped }: Totals): number {
  console.log(`\nFiles that passed only when run again: ${flaky.length} (at most ${MAX_FLAKY_FILES})`);
  for (const file of flaky) console.log(`  flaky: ${file}`);
  if (skipped.length > 0) console.log(`Skipped tests:\n${summarizeSkips(skipped).join('\n')}`);
  const wrong = isContinuous() ? unacceptedSkips(skipped, { isOldGit: isOldGit() }) : [];
  for (const { file, name, reason } of wrong)
    console.log(`Skipped for a reason that is not accepted: ${file}: ${name}: ${reason || 'none'}`);
  return flaky.length > MAX_FLAKY_FILES || wrong.length > 0 ? 1 : 0;
}

function isContinuous(): boolean {
  return /^(?:1|true)$/.test(process.env.CI ?? '');
}

/** Reports whether the tested git has no reftable (2.45). */
function isOldGit(): boolean {
  const [, minor] = /^git version 2\.(\d+)/.exec(spawnSync('git', ['version']).stdout.toString()) ?? [];
  return minor !== undefined && Number(minor) < 45;
}

/** Runs the groups of a class, up to the first that fails. */
function runClass(directory: string, groups: readonly TestGroup[], args: readonly string[]): number {
  const change = args.find((arg) => /^--changed(?:=|$)/.test(arg));
  const options = args.filter((arg) => arg.startsWith('--') && arg !== change);
  const only = new Set(args.filter((arg) => !arg.startsWith('--')));
  const changed = change === undefined ? undefined : changedTests(change.split('=')[1] ?? 'HEAD');
  const totals: Totals = { flaky: [], skipped: [] };
  let count = 0;
  for (const group of groups) {
    const files = filesOf(group)
      .filter((file) => changed?.has(file) !== false)
      .filter((file) => only.size === 0 || only.has(file));
    if (files.length === 0) continue;
    count += files.length;
    const code = runGroup(directory, group, { options, files }, totals);
    if (code === 0) continue;
    report(totals);
    return code;
  }
  if (count === 0) console.log('There is nothing to test.');
  return report(totals);
}

function main([name = '', ...args]: readonly string[]): number {
  const groups = CLASSES[name];
  if (groups === undefined) {
    console.error(`run-tests: name a class of tests: ${Object.keys(CLASSES).join(', ')}`);
    return 2;
  }
  process.env.TEST_SEED ||= String(randomInt(2 ** 31));
  const directory = makeTemporaryDirectory();
  process.on('SIGINT', () => undefined); // Ctrl-C ends the tests; then the directory is removed
  try {
    return runClass(directory.path, groups, args);
  } finally {
    const left = directory.remove().filter((each) => each !== RESULTS);
    if (left.length > 0) console.log(`\nleft in the temporary directory: ${left.join(' ')}`);
    console.log(`\nTEST_SEED=${process.env.TEST_SEED} repeats the random choices of this run.`);
  }
}

process.exitCode = main(process.argv.slice(2));
