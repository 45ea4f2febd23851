/** Finds out which test files execute which parts of the sources, and how long they take. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { hashOf } from '../tests/executed-code.ts';
import { bordersOf, paintExecuted, readReport } from '../tests/v8-coverage.ts';
import type { Sandbox } from './sandbox.ts';

/** Runs of a test file, kept until the file changes. */
export interface TestRun {
  readonly test: string;
  readonly hash: string;
  readonly isPassed: boolean;
  readonly seconds: number;
  /** Executed parts of each source file. */
  readonly files: Readonly<Record<string, Coverage>>;
}

interface Coverage {
  readonly hash: string;
  /** Starts and ends in turns, in UTF-16 code units. */
  readonly borders: readonly number[];
}

/** A test that takes longer is not repeated for every mutant. */
const MAX_SECONDS = 300;

/** Returns the known run of a test file, unless the file has changed since. */
export function knownRun(cache: string, test: string, source: string): TestRun | undefined {
  const file = fileOf(cache, test);
  if (!existsSync(file)) return undefined;
  // Written by `measure`.
  const run = JSON.parse(readFileSync(file, 'utf8')) as TestRun;
  return run.hash === hashOf(source) ? run : undefined;
}

/** Runs a test file on unchanged sources, and stores its coverage. */
export async function measure(sandbox: Sandbox, cache: string, test: string): Promise<TestRun> {
  const raw = join(sandbox.directory, '.coverage');
  mkdirSync(raw, { recursive: true });
  const start = performance.now();
  const timeoutMs = MAX_SECONDS * 1000;
  let outcome = await sandbox.run(test, { timeoutMs, coverage: raw });
  const seconds = (performance.now() - start) / 1000;
  // Measuring may disturb a test that checks its environment.
  if (outcome === 'failed') outcome = await sandbox.run(test, { timeoutMs });
  const run: TestRun = {
    test,
    hash: hashOf(sandbox.original(test)),
    isPassed: outcome === 'passed',
    seconds: Math.round(seconds * 100) / 100,
    files: outcome === 'passed' ? readCoverage(sandbox, raw) : {},
  };
  rmSync(raw, { recursive: true, force: true });
  mkdirSync(cache, { recursive: true });
  writeFileSync(fileOf(cache, test), JSON.stringify(run));
  return run;
}

/** Reports whether the test executes a position of a file; a changed file counts as a whole. */
export function executes({ files }: TestRun, file: string, source: string, position: number): boolean {
  const covered = files[file];
  if (covered === undefined) return false;
  if (covered.hash !== hashOf(source)) return true;
  const index = covered.borders.findLastIndex((border) => border <= position);
  return index !== -1 && index % 2 === 0;
}

/**
 * Sorts the tests that execute a place of a file by how much of the file they execute, the most
 * first, and then by their duration: a test of a subject executes more of its file than one that
 * only passes through. Of a file that has changed since, this is unknown: such tests come last.
 */
export function mostRelevantFirst(runs: readonly TestRun[], file: string, source: string): TestRun[] {
  const hash = hashOf(source);
  const executed = ({ files }: TestRun): number => {
    const covered = files[file];
    if (covered?.hash !== hash) return 0;
    return covered.borders.reduce((sum, border, index) => sum + (index % 2 === 0 ? -border : border), 0);
  };
  return runs
    .map((run) => ({ run, executed: executed(run) }))
    .sort((a, b) => b.executed - a.executed || a.run.seconds - b.run.seconds)
    .map(({ run }) => run);
}

function fileOf(cache: string, test: string): string {
  return join(cache, `${test.replaceAll('/', '+')}.json`);
}

/** Joins the coverage of all processes of a run. */
function readCoverage(sandbox: Sandbox, raw: string): TestRun['files'] {
  const prefix = pathToFileURL(`${sandbox.directory}/`).href;
  const painted = new Map<string, Uint8Array>();
  for (const name of readdirSync(raw)) {
    for (const { url, functions } of readReport(join(raw, name))) {
      const file = url.startsWith(prefix) ? url.slice(prefix.length) : '';
      // Not a test, and not the text of `node --eval`, which V8 reports as a file of the directory.
      if (!/^src\/.*\.ts$/.test(file) || file.endsWith('.test.ts')) continue;
      const length = sandbox.original(file).length;
      const whole = painted.get(file) ?? new Uint8Array(length);
      painted.set(file, whole);
      paintExecuted(whole, functions);
    }
  }
  return Object.fromEntries(
    [...painted].map(([file, whole]) => [
      file,
      { hash: hashOf(sandbox.original(file)), borders: bordersOf(whole) },
    ]),
  );
}
