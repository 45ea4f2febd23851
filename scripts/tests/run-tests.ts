// Runs tests with `node --test`. A file with a failing test is run once more, alone, after all
// others: what fails only beside them is named at the end, so that it can be mended, and does not
// fail the run. What tests leave in the temporary directory is named too.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { makeTemporaryDirectory } from './temporary-directory.ts';

/** Where Node keeps what it has compiled: each file of tests is a process that loads the sources. */
const COMPILE_CACHE = join(import.meta.dirname, '../../.cache/compiled');
/** More failing files than this are no accident, and are not run again. */
const MAX_FILES_AGAIN = 8;

/** File in the temporary directory that lists the files with failures. */
const FAILED_FILES = 'failed';

/** Runs `node --test`; returns the files with failures, or `undefined` if it never got to run. */
function run(directory: string, args: readonly string[]): { code: number; failed: string[] } {
  const list = join(directory, FAILED_FILES);
  const { status } = spawnSync(
    process.execPath,
    [
      '--conditions=source',
      '--test',
      '--test-reporter=spec',
      '--test-reporter-destination=stdout',
      `--test-reporter=${join(import.meta.dirname, 'failed-files.ts')}`,
      `--test-reporter-destination=${list}`,
      ...args,
    ],
    { stdio: 'inherit', env: { NODE_COMPILE_CACHE: COMPILE_CACHE, ...process.env, TMPDIR: directory } },
  );
  const failed = readFileSync(list, 'utf8').split('\n').filter(Boolean);
  return { code: status ?? 1, failed: failed.map((file) => relative('.', file)) };
}

/** Reports whether few files failed, and each can be run: not a module that defines tests. */
function canRunAgain(failed: readonly string[]): boolean {
  const areTests = failed.every((file) => file.endsWith('.test.ts'));
  return areTests && failed.length > 0 && failed.length <= MAX_FILES_AGAIN;
}

function main(args: readonly string[]): number {
  const directory = makeTemporaryDirectory();
  process.on('SIGINT', () => undefined); // Ctrl-C ends the tests; then the directory is removed
  try {
    const first = run(directory.path, args);
    if (first.code === 0) return 0;
    if (!canRunAgain(first.failed)) return first.code;
    console.log(`\nOnce more, alone: ${first.failed.join(' ')}\n`);
    const options = args.filter((arg) => arg.startsWith('--') && !arg.startsWith('--test-concurrency'));
    const second = run(directory.path, [...options, '--test-concurrency=1', ...first.failed]);
    if (second.code === 0) console.log(`\nunsteady, failed at first: ${first.failed.join(' ')}`);
    return second.code;
  } finally {
    const left = directory.remove().filter((name) => name !== FAILED_FILES);
    if (left.length > 0) console.log(`\nleft in the temporary directory: ${left.join(' ')}`);
  }
}

process.exitCode = main(process.argv.slice(2));
