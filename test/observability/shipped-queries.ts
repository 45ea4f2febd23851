import { readdirSync, readFileSync } from 'node:fs';
import type { SyntaxNode } from '@lezer/common';
import { parser } from '@prometheus-io/lezer-promql';
import { parse } from 'yaml';
import { familiesOf } from './exposition.ts';

const DEPLOY = new URL('../../deploy/', import.meta.url);
/** Labels that Prometheus adds to every series. */
const OF_PROMETHEUS = new Set(['instance', 'job']);
/** Series of Prometheus itself: whether it reached a target. */
const UP = 'up';

interface Dashboard {
  readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly type: string; readonly query: string }[] };
}
interface Alerts {
  readonly groups: readonly {
    readonly name: string;
    readonly rules: readonly { readonly alert: string; readonly expr: string }[];
  }[];
}

const read = (path: string): string => readFileSync(new URL(path, DEPLOY), 'utf8');

/** Returns the queries of a dashboard. `label_values(metric, label)` counts as `sum by (label) (metric)`. */
function queriesOf(file: string): string[] {
  // The file has Grafana's format; a wrong shape fails the test.
  const { panels, templating } = JSON.parse(read(`grafana/${file}`)) as Dashboard;
  const variables = templating.list.filter(({ type }) => type === 'query').map(({ query }) => query);
  return [
    ...panels.flatMap(({ targets = [] }) => targets.map(({ expr }) => expr)),
    ...variables.map((query) => query.replace(/^label_values\((.*), (\w+)\)$/s, 'sum by ($2) ($1)')),
  ];
}

// As above: Prometheus' format.
const { groups } = parse(read('prometheus/alerts.yaml')) as Alerts;

/** The names and queries of the alert rules, by group. */
export const ALERTS: ReadonlyMap<string, Alerts['groups'][number]['rules']> = new Map(
  groups.map(({ name, rules }) => [name, rules]),
);

/** Queries of the dashboards and alert rules, by their file, for one server. */
export function shippedQueries(server: 'gitaly' | 'praefect'): ReadonlyMap<string, readonly string[]> {
  const isOfPraefect = (file: string): boolean => file.includes('praefect');
  const dashboards = readdirSync(new URL('grafana/', DEPLOY)).filter(
    (file) => isOfPraefect(file) === (server === 'praefect'),
  );
  return new Map([
    ...dashboards.map((file) => [file, queriesOf(file)] as const),
    [`alerts.yaml, ${server}`, (ALERTS.get(server) ?? []).map(({ expr }) => expr)],
  ]);
}

/** Returns what a server's exposition lacks of a query's metrics; an empty list if the query finds them. */
export function missingOf(query: string, exposition: string): string[] {
  const metrics = queriedMetrics(query);
  if (metrics.length === 0) return ['the query reads no metric'];
  return metrics.flatMap((metric) => missingOfMetric(metric, exposition));
}

function missingOfMetric(metric: QueriedMetric, exposition: string): string[] {
  const families = familiesOf(exposition);
  const [, base = '', suffix] = /^(.*?)(_bucket|_sum|_count)?$/.exec(metric.name) ?? [];
  const histogram = suffix === undefined ? undefined : families.get(base);
  const family = histogram?.type === 'histogram' ? histogram : families.get(metric.name);
  if (family === undefined && metric.name !== UP) return [`${metric.name} does not exist`];
  const known = new Set([...(family?.labels.split(',') ?? []), ...OF_PROMETHEUS]);
  if (suffix === '_bucket') known.add('le');
  const unknown = metric.labels.filter((label) => !known.has(label));
  const missing = metric.bounds.filter((bound) => !family?.buckets.split(',').includes(bound));
  return [
    ...unknown.map((label) => `${metric.name} has no label ${label}`),
    ...missing.map((bound) => `${metric.name} has no bucket ${bound}`),
  ];
}

/** A metric in a query with the labels that the query reads from it. */
interface QueriedMetric {
  readonly name: string;
  /** Labels of its matchers, and of `by`, `on` and similar around it. */
  readonly labels: readonly string[];
  /** Values of `le` that its matchers require. */
  readonly bounds: readonly string[];
}

/**
 * Parses a query with Prometheus' own grammar and returns its metrics. Grafana's variables in
 * durations represent a time and are replaced.
 *
 * @throws {Error} if the query is not valid.
 */
function queriedMetrics(query: string): QueriedMetric[] {
  const text = query.replaceAll('$__rate_interval', '5m');
  const found: QueriedMetric[] = [];
  const nodeText = ({ from, to }: SyntaxNode): string => text.slice(from, to);
  const visit = (node: SyntaxNode, outer: readonly string[]): void => {
    if (node.type.isError) throw new Error(`not valid at ${node.from}: ${text}`);
    if (node.name === 'VectorSelector') found.push(selectorOf(node, outer, nodeText));
    const labels = groupingOf(node).flatMap((grouping) => grouping.getChildren('LabelName').map(nodeText));
    for (let child = node.firstChild; child !== null; child = child.nextSibling)
      visit(child, [...outer, ...labels]);
  };
  visit(parser.parse(text).topNode, []);
  return found;
}

function groupingOf(node: SyntaxNode): readonly SyntaxNode[] {
  const inner = [...node.getChildren('AggregateModifier'), ...node.getChildren('MatchingModifierClause')];
  return inner.flatMap((modifier) => modifier.getChildren('GroupingLabels'));
}

function selectorOf(
  node: SyntaxNode,
  outer: readonly string[],
  nodeText: (node: SyntaxNode) => string,
): QueriedMetric {
  const name = node.getChild('Identifier');
  const matchers = node.getChild('LabelMatchers')?.getChildren('UnquotedLabelMatcher') ?? [];
  const labels = matchers.flatMap((matcher) => matcher.getChildren('LabelName').map(nodeText));
  const bounds = matchers
    .map(nodeText)
    .flatMap((matcher) => Array.from(matcher.matchAll(/^le\s*=\s*"([^"]+)"$/g), ([, bound = '']) => bound));
  return { name: name === null ? '' : nodeText(name), labels: [...outer, ...labels], bounds };
}
