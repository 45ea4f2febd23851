import { globSync } from 'node:fs';
import { styleText } from 'node:util';
import { NEVER_AGAIN, type TestGroup } from './classes.ts';
import type { Durations } from './durations.ts';
import type { FileResult } from './file-result.ts';
import type { FlakyFiles } from './flaky-files.ts';
import { type RunFilesOptions, runFiles } from './run-files.ts';
import { summarizeSkips, unacceptedSkips } from './skip-reasons.ts';

/** More failing files than this are not run again: they have a common cause. */
const MAX_FILES_AGAIN = 8;
/** More files than this that pass only when they are run again fail the run. */
const MAX_FLAKY_FILES = 2;

export interface RunGroupsOptions {
  /** Directory that contains the files. */
  readonly cwd: string;
  readonly env: NodeJS.ProcessEnv;
  /** Options of `node`. */
  readonly nodeOptions: readonly string[];
  /** Selects the files of the run. */
  readonly isWanted: (file: string) => boolean;
  /** Prints the tests of files that pass, too. */
  readonly isVerbose: boolean;
  /**
   * Fails the run for skipped tests whose reasons are not accepted, and for a file that is flaky
   * again.
   */
  readonly isContinuous: boolean;
  readonly isOldGit: boolean;
  readonly durations: Durations;
  readonly flakyFiles: FlakyFiles;
  /** Reports whether cores are idle; default: those of the machine. */
  readonly areCoresIdle?: () => boolean;
  readonly signal: AbortSignal;
  readonly print: (line: string) => void;
}

/** Lines about each failed file that are repeated at the end. */
const MAX_REASON_LINES = 12;

/** The results of all groups of a run. */
interface Totals {
  readonly results: FileResult[];
  readonly flaky: string[];
}

/** The result of a run. */
export interface GroupsResult {
  readonly hasPassed: boolean;
  /** `1,100 files, 16,900 tests, 1,200 s of CPU time` */
  readonly figures: string;
}

/**
 * Runs groups of files, whether or not those before have failed, and prints their results. Files
 * with failures are run once more, alone.
 */
export async function runGroups(
  groups: readonly TestGroup[],
  options: RunGroupsOptions,
): Promise<GroupsResult> {
  const totals: Totals = { results: [], flaky: [] };
  let hasPassed = true;
  for (const group of groups) {
    if (options.signal.aborted) break;
    if (!(await runGroup(group, options, totals))) hasPassed = false;
  }
  const isAccepted = report(totals, options);
  return { hasPassed: hasPassed && isAccepted && !options.signal.aborted, figures: figuresOf(totals) };
}

/** Returns the files of a group. */
export function filesOf({ files, exclude = [] }: TestGroup, cwd: string): string[] {
  return globSync(files, { cwd, exclude }).sort();
}

async function runGroup(group: TestGroup, options: RunGroupsOptions, totals: Totals): Promise<boolean> {
  const { cwd, durations, print, signal } = options;
  const files = filesOf(group, cwd).filter(options.isWanted);
  const each: RunFilesOptions = {
    ...group,
    ...options,
    env: { ...options.env, ...group.env },
    onResult(result, output) {
      totals.results.push(result);
      if (!result.failed) durations.add(result.file, result.durationMs);
      printResult(result, output, options);
    },
  };
  const results = await runFiles(durations.longestFirst(files), each);
  durations.save();
  if (signal.aborted) return false;
  const failed = results.filter((result) => result.failed).map(({ file }) => file);
  if (failed.length === 0) return true;
  const reason = whyNotAgain(failed);
  if (reason !== undefined) {
    print(`\nFailed, and not run again: ${failed.join(' ')}\n${reason}`);
    return false;
  }
  print(`\nOnce more, alone: ${failed.join(' ')}\n`);
  const again = await runFiles(failed, { ...each, processes: 1, spareProcesses: 0, separately: true });
  if (signal.aborted || again.some((result) => result.failed)) return false;
  totals.flaky.push(...failed);
  return true;
}

/** Returns why files with failures are not run again, if they are not. */
function whyNotAgain(failed: readonly string[]): string | undefined {
  if (failed.length > MAX_FILES_AGAIN) return `More than ${MAX_FILES_AGAIN} files have failed.`;
  const lossy = failed.filter((file) => NEVER_AGAIN.test(file));
  return lossy.length > 0 ? `These search for lost data: ${lossy.join(' ')}` : undefined;
}

function printResult(result: FileResult, output: string, { isVerbose, print }: RunGroupsOptions): void {
  const { file, failed, tests, durationMs, cpuMs, problem } = result;
  const mark = failed ? styleText('red', '✖') : styleText('green', '✔');
  print(`${mark} ${file}: ${tests} tests, ${seconds(durationMs)} (CPU ${seconds(cpuMs)})`);
  if (output.trim() !== '') print(output.trimEnd());
  if (failed || isVerbose) print(result.report.trimEnd());
  if (problem !== undefined) print(styleText('red', problem));
}

function seconds(ms: number): string {
  return `${(ms / 1000).toFixed(1)} s`;
}

/** Returns the first lines of a failed file's list of failures. */
export function reasonOf({ report, problem = '' }: Pick<FileResult, 'report' | 'problem'>): string {
  const lines = report.slice(report.lastIndexOf('failing tests:')).split('\n');
  return [problem, ...lines.slice(1)]
    .filter((line) => line.trim() !== '')
    .slice(0, MAX_REASON_LINES)
    .join('\n');
}

/** Prints what the run has found out besides failures; reports whether that is accepted. */
function report({ results, flaky }: Totals, options: RunGroupsOptions): boolean {
  const { isContinuous, isOldGit, print } = options;
  if (results.length === 0) print('There is nothing to test.');
  print(`\nFiles that passed only when run again: ${flaky.length} (at most ${MAX_FLAKY_FILES})`);
  for (const file of flaky) print(`  flaky: ${file}`);
  const earlier = options.flakyFiles.add(flaky, options.env.TEST_SEED ?? '');
  for (const { commit, file, seed } of earlier)
    print(`  flaky before: ${file}, at ${commit} with TEST_SEED=${seed}`);
  const skipped = results.flatMap((result) => result.skipped);
  if (skipped.length > 0) print(`Skipped tests:\n${summarizeSkips(skipped).join('\n')}`);
  const wrong = isContinuous ? unacceptedSkips(skipped, { isOldGit }) : [];
  for (const { file, name, reason } of wrong)
    print(`Skipped for a reason that is not accepted: ${file}: ${name}: ${reason || 'none'}`);
  const failed = new Map(results.filter((result) => result.failed).map((result) => [result.file, result]));
  for (const result of failed.values()) print(`✖ ${result.file}\n${reasonOf(result)}`);
  print(figuresOf({ results, flaky }));
  const isAgain = isContinuous && earlier.length > 0;
  return flaky.length <= MAX_FLAKY_FILES && wrong.length === 0 && !isAgain;
}

function figuresOf({ results }: Totals): string {
  const sum = (count: (result: FileResult) => number): number =>
    results.reduce((total, result) => total + count(result), 0);
  return (
    `${new Set(results.map(({ file }) => file)).size} files, ${sum(({ tests }) => tests)} tests, ` +
    `${Math.round(sum(({ cpuMs }) => cpuMs) / 1000)} s of CPU time`
  );
}
