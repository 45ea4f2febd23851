import { globSync } from 'node:fs';
import { join } from 'node:path';
import type { Metric } from '#platform/metrics/metric';

const SOURCES = join(import.meta.dirname, '../src');
/** Groups are next to the code that counts them, in files of these names. */
const FILES = ['**/*metrics.ts', '**/metrics-file.ts'];
/** Words in front of names, with the title of their metrics; the first that fits. */
const SECTIONS = [
  ['gitaly_praefect_', 'Praefect'],
  ['gitaly_ts_', 'Metrics that Gitaly does not have'],
  ['gitaly_', 'Gitaly'],
  ['gitlab_', 'Gitaly'],
  ['grpc_', 'Calls'],
  ['process_', 'Process'],
  ['nodejs_', 'Node'],
] as const;

/** Returns all metrics that the sources declare in groups, sorted by their names. */
export async function allMetrics(): Promise<Metric[]> {
  const files = FILES.flatMap((pattern) => globSync(pattern, { cwd: SOURCES })).filter(
    (file) => !file.endsWith('.test.ts'),
  );
  const modules: unknown[] = await Promise.all(files.map((file) => import(join(SOURCES, file))));
  const metrics = modules.flatMap((module) => Object.values(Object(module)).flatMap(metricsIn));
  return metrics.toSorted((a, b) => (a.name < b.name ? -1 : 1));
}

/** Returns the metrics of an exported value, if it is a group. */
function metricsIn(value: unknown): Metric[] {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return [];
  return Object.values(value).filter(isMetric);
}

function isMetric(value: unknown): value is Metric {
  return (
    typeof value === 'object' && value !== null && 'type' in value && 'help' in value && 'labels' in value
  );
}

export async function metricsPage(): Promise<string> {
  const bySection = Map.groupBy(await allMetrics(), sectionOf);
  const titles = [...new Set(SECTIONS.map(([, title]) => title))];
  return `${[
    '# Metrics',
    '',
    'This page is generated from the sources by `npm run gen`. The texts of metrics that Gitaly has are',
    'its own. [monitoring.md](monitoring.md) describes how to collect them, alerts and dashboards.',
    ...titles.flatMap((title) => [
      '',
      `## ${title}`,
      '',
      '| metric | type | labels | meaning |',
      '| --- | --- | --- | --- |',
      ...(bySection.get(title) ?? []).map(rowOf),
    ]),
  ].join('\n')}\n`;
}

function sectionOf({ name }: Metric): string {
  const [, title = ''] = SECTIONS.find(([prefix]) => name.startsWith(prefix)) ?? [];
  if (title === '') throw new Error(`no section of the page has the metric ${name}`);
  return title;
}

function rowOf({ help, labels, name, type }: Metric): string {
  const names = labels.map((label) => `\`${label}\``).join(', ');
  return `| \`${name}\` | ${type} | ${names} | ${help.replaceAll('|', '\\|')} |`;
}
