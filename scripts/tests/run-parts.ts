import { globSync } from 'node:fs';
import type { FileResult } from './file-result.ts';
import { type RunFilesOptions, runFiles } from './run-files.ts';
import { reasonOf } from './run-groups.ts';
import { summarizeSkips } from './skip-reasons.ts';
import type { SoakPart } from './soak-parts.ts';

const MINUTE_MS = 60_000;
/** A part may take this many times its minutes, as it does on a machine that does other work … */
const MAX_EXCESS = 4;
/** … and by default in addition this time: a short soak has sizes of a long one, too (`extent`). */
const START_MS = 12 * MINUTE_MS;
/** Characters of the figures in the line of a part; all of them are in its report. */
const MAX_FIGURES = 300;

/** The result of a part. */
export interface PartResult {
  readonly part: SoakPart;
  readonly results: readonly FileResult[];
  readonly hasFailed: boolean;
  readonly durationMs: number;
  /** Set if the part was ended because it took too long. */
  readonly problem?: string;
}

export interface RunPartsOptions extends Pick<RunFilesOptions, 'cwd' | 'env' | 'nodeOptions' | 'signal'> {
  /** Length of the soak, compared with the usual one. */
  readonly factor: number;
  /** Time that each part may take in addition. */
  readonly startMs?: number;
  /** Takes the whole report of a part. */
  readonly keep: (part: SoakPart, report: string) => void;
  readonly print: (line: string) => void;
}

/**
 * Runs parts of the soak, one file at a time, whether or not those before have failed. Prints a
 * line for each, and a table at the end. Reports whether all have passed.
 */
export async function runParts(parts: readonly SoakPart[], options: RunPartsOptions): Promise<boolean> {
  const { keep, print, signal } = options;
  const results: PartResult[] = [];
  for (const part of parts) {
    const result = await runPart(part, options);
    if (signal.aborted) break;
    results.push(result);
    keep(part, result.results.map(({ file, report }) => `${file}\n${report}`).join('\n'));
    print(lineOf(result));
  }
  for (const line of summary(results, options.factor)) print(line);
  const left = parts.slice(results.length).map(({ name }) => name);
  if (left.length > 0) print(`Interrupted. Not run to the end: ${left.join(' ')}`);
  return left.length === 0 && !results.some(({ hasFailed }) => hasFailed);
}

async function runPart(part: SoakPart, options: RunPartsOptions): Promise<PartResult> {
  const { cwd, env, factor, nodeOptions, signal, startMs = START_MS } = options;
  const limitMs = part.minutes * MINUTE_MS * factor * MAX_EXCESS + startMs;
  const limit = AbortSignal.timeout(limitMs);
  const begunMs = performance.now();
  const files = globSync(part.files, { cwd }).sort();
  const results = await runFiles(files, {
    cwd,
    env: { ...env, GITALY_SOAK: String(factor) },
    nodeOptions,
    processes: 1,
    separately: true,
    timeoutMs: limitMs,
    signal: AbortSignal.any([signal, limit]),
    onResult: () => undefined,
  });
  const problem =
    files.length === 0
      ? 'It has no files.'
      : limit.aborted
        ? `It was ended after ${minutes(limitMs)} min, in ${files[results.length]}.`
        : undefined;
  return {
    part,
    results,
    hasFailed: problem !== undefined || results.some(({ failed }) => failed),
    durationMs: performance.now() - begunMs,
    ...(problem !== undefined && { problem }),
  };
}

function minutes(ms: number): string {
  return (ms / MINUTE_MS).toFixed(1);
}

function sum(results: readonly FileResult[], count: (result: FileResult) => number): number {
  return results.reduce((total, result) => total + count(result), 0);
}

function lineOf({ part, results, hasFailed, durationMs, problem }: PartResult): string {
  const figures = results.flatMap((result) => result.figures).join('; ');
  const shown = figures.length > MAX_FIGURES ? `${figures.slice(0, MAX_FIGURES)} …` : figures;
  const count = sum(results, (result) => result.tests);
  const tests = count === 1 ? '1 test' : `${count} tests`;
  const facts = [`${minutes(durationMs)} min`, tests, shown, problem].filter(Boolean);
  return `${hasFailed ? '✖' : '✔'} ${part.name}: ${facts.join('; ')}`;
}

/** Returns a table of the parts, the skipped tests by reason, and the failed ones with their reasons. */
function summary(all: readonly PartResult[], factor: number): string[] {
  const rows = all.map(({ part, results, hasFailed, durationMs }) => [
    part.name,
    hasFailed ? 'FAILED' : 'passed',
    minutes(durationMs),
    (part.minutes * factor).toFixed(1),
    minutes(sum(results, ({ cpuMs }) => cpuMs)),
    String(sum(results, ({ tests }) => tests)),
    String(sum(results, ({ skipped }) => skipped.length)),
  ]);
  const failed = all.filter(({ hasFailed }) => hasFailed);
  const reasons = failed.flatMap(({ part, results, problem }) => [
    `✖ ${part.name}${problem === undefined ? '' : `: ${problem}`}`,
    ...results.filter((result) => result.failed).flatMap((result) => [result.file, reasonOf(result)]),
  ]);
  const skipped = summarizeSkips(all.flatMap(({ results }) => results.flatMap((each) => each.skipped)));
  const names = failed.map(({ part }) => part.name);
  return [
    '',
    ...table([['part', 'result', 'min', 'planned', 'CPU min', 'tests', 'skipped'], ...rows]),
    ...(skipped.length > 0 ? ['', 'Skipped tests:', ...skipped] : []),
    ...(reasons.length > 0 ? ['', ...reasons] : []),
    '',
    names.length === 0
      ? `Passed: all of ${all.length} parts`
      : `Failed: ${names.join(' ')} (${names.length} of ${all.length} parts)`,
  ];
}

/** Aligns columns: the first two to the left, numbers to the right. */
function table(rows: readonly (readonly string[])[]): string[] {
  const width = (column: number): number => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  return rows.map((row) =>
    row
      .map((cell, column) => (column < 2 ? cell.padEnd(width(column)) : cell.padStart(width(column))))
      .join('  '),
  );
}
