import { type Measurement, ratioOf } from './bench.ts';
import type { BenchResult } from './git-table.ts';

/** Returns the calls per second of the bench `cluster` as a table in Markdown. */
export function clusterTable(results: readonly BenchResult[], run: string): string {
  const calls = results.filter(({ bench, measurement }) => bench === 'cluster' && isOfCalls(measurement));
  const rows = calls.map(({ measurement }) => {
    const { name, reference, value } = measurement;
    const share = ratioOf(measurement)?.toFixed(2) ?? '';
    return `| ${name} | ${whole(reference?.value ?? Number.NaN)} | ${whole(value)} | ${share} |`;
  });
  const heading = [
    '| calls per second | ours alone | our cluster | cluster ÷ alone |',
    '| --- | --- | --- | --- |',
  ];
  return [run, '', ...heading, ...rows].join('\n');
}

function isOfCalls({ unit }: Measurement): boolean {
  return unit === 'calls/s';
}

function whole(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toFixed(1);
}
