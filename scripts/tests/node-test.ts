import { spawnSync } from 'node:child_process';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TestGroup } from './classes.ts';
import type { SkippedTest, TestResult } from './test-results.ts';

/** Where Node keeps what it has compiled: each file of tests is a process that loads the sources. */
const COMPILE_CACHE = join(import.meta.dirname, '../../.cache/compiled');

const REPORTER = join(import.meta.dirname, 'test-results.ts');
/** File in the temporary directory that the reporter writes. */
export const RESULTS = 'results';

/** The result of a run of `node --test`. */
export interface TestRun {
  readonly code: number;
  /** Paths of the files with a failed test, below the project's root. */
  readonly failed: readonly string[];
  readonly skipped: readonly SkippedTest[];
}

/** Returns the files of a group, below the project's root. */
export function filesOf({ files, exclude = [] }: TestGroup): string[] {
  return globSync(files, { exclude }).sort();
}

/** Runs `node --test` on files, with the options of a group. Its output is this process's. */
export function runTests(
  directory: string,
  { env = {} }: TestGroup,
  args: readonly string[],
  files: readonly string[],
): TestRun {
  const results = join(directory, RESULTS);
  const { status } = spawnSync(
    process.execPath,
    [
      '--conditions=source',
      '--test',
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${REPORTER}`,
      `--test-reporter-destination=${results}`,
      ...args,
      ...files,
    ],
    {
      stdio: 'inherit',
      env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env, ...env, TMPDIR: directory },
    },
  );
  const lines = readFileSync(results, 'utf8').split('\n').filter(Boolean);
  // Written by the reporter, see there.
  const reported = lines.map((line) => JSON.parse(line) as TestResult);
  return {
    code: status ?? 1,
    failed: reported.flatMap((each) => ('failed' in each ? [each.failed] : [])),
    skipped: reported.flatMap((each) => ('skipped' in each ? [each.skipped] : [])),
  };
}
