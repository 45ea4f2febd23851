import { type Measurement, ratioOf } from './bench.ts';

/** Benches that compare RPCs with the git commands that do the same work. */
export const COMPARED_WITH_GIT: ReadonlySet<string> = new Set([
  'diffs',
  'commit-files',
  'copies',
  'merges',
  'references',
  'ref-lists',
  'content',
  'sizes',
  'maintenance',
  'push',
  'clone',
  'ssh-gateway',
]);

export interface BenchResult {
  readonly bench: string;
  readonly measurement: Measurement;
}

/**
 * Returns the table of docs/performance.md next to git: all times with a reference, of one run.
 *
 * @param run describes the run: date, git, machine.
 */
export function gitTable(results: readonly BenchResult[], run: string): string {
  const rows = results.flatMap(({ bench, measurement }) => {
    const ratio = ratioOf(measurement);
    const isTime = ratio !== undefined && measurement.unit === 'ms';
    const against = measurement.reference?.name ?? '';
    return isTime ? [`| ${measurement.name} | ${ratio.toFixed(2)} | ${against} | \`${bench}\` |`] : [];
  });
  const heading = ['| work | ratio | compared with | bench |', '| --- | --- | --- | --- |'];
  return [run, '', ...heading, ...rows].join('\n');
}
