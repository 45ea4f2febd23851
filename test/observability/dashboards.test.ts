import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { before, suite, test } from 'node:test';
import { parse } from 'yaml';
import { adaptiveLimitMetrics } from '#platform/metrics/adaptive-limit-metrics';
import { limitMetrics } from '#platform/metrics/limit-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { packMetrics } from '#platform/metrics/pack-metrics';
import { until } from '#testkit/until';
import { familiesOf } from './exposition.ts';
import { type QueriedMetric, queriedMetrics } from './promql-names.ts';
import { makeCalls, metricsOf, startObserved } from './scripted-calls.ts';

const DEPLOY = new URL('../../deploy/', import.meta.url);
/** Labels that Prometheus adds to every series. */
const OF_PROMETHEUS = new Set(['instance', 'job']);

interface Dashboard {
  readonly panels: readonly { readonly targets?: readonly { readonly expr: string }[] }[];
  readonly templating: { readonly list: readonly { readonly type: string; readonly query: string }[] };
}
interface Alerts {
  readonly groups: readonly {
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

const SOURCES = new Map<string, readonly string[]>(
  readdirSync(new URL('grafana/', DEPLOY)).map((file) => [file, queriesOf(file)]),
);
// As above: Prometheus' format.
const alerts = parse(read('prometheus/alerts.yaml')) as Alerts;
SOURCES.set(
  'alerts.yaml',
  alerts.groups.flatMap(({ rules }) => rules.map(({ expr }) => expr)),
);

/** Returns what a server's exposition lacks of a metric; an empty list if the query finds it. */
function problemsOf(metric: QueriedMetric, exposition: string): string[] {
  const families = familiesOf(exposition);
  const [, base = '', suffix] = /^(.*?)(_bucket|_sum|_count)?$/.exec(metric.name) ?? [];
  const histogram = suffix === undefined ? undefined : families.get(base);
  const family = histogram?.type === 'histogram' ? histogram : families.get(metric.name);
  if (family === undefined) return [`${metric.name} does not exist`];
  const known = new Set([...family.labels.split(','), ...OF_PROMETHEUS]);
  if (suffix === '_bucket') known.add('le');
  const unknown = metric.labels.filter((label) => !known.has(label));
  const missing = metric.bounds.filter((bound) => !family.buckets.split(',').includes(bound));
  return [
    ...unknown.map((label) => `${metric.name} has no label ${label}`),
    ...missing.map((bound) => `${metric.name} has no bucket ${bound}`),
  ];
}

/** Returns metrics that appear with limits, refusals and caches, from the functions that declare them. */
function metricsOfLimits(): string {
  const registry = new MetricsRegistry();
  const options = { latencyBuckets: [0.1, 1] };
  limitMetrics(registry, options)('service', 'method').dropped('rate', true).inc();
  const adaptive = adaptiveLimitMetrics(registry);
  adaptive.currentLimit('limit').set(1);
  adaptive.backoffEvents('watcher').inc();
  const packs = packMetrics(registry, options);
  for (const kind of ['authenticated', 'unauthenticated', 'total'] as const)
    packs.limits[kind].dropped('max_size');
  packs.looked('hit');
  packs.streamCache('pack_objects', '/directory');
  return registry.render('text');
}

suite('the dashboards and the alert rules', () => {
  let exposition = '';
  before(async () => {
    await using gitaly = await startObserved();
    await makeCalls(gitaly);
    // The event loop's delays and a process' end are seen some time after the calls.
    await until(async () => {
      exposition = await metricsOf(gitaly);
      const names = ['gitaly_command_cpu_seconds_total', 'nodejs_gc_duration_seconds'];
      return names.every((name) => (familiesOf(exposition).get(name)?.labels ?? '') !== '');
    });
    // A family may be there without series; those of the second text then count.
    const ofLimits = metricsOfLimits();
    const own = [...familiesOf(ofLimits).keys()];
    const kept = exposition.split(/(?=^# HELP )/m).filter((text) => !own.includes(text.split(' ')[2] ?? ''));
    exposition = kept.join('') + ofLimits;
  });

  for (const [file, queries] of SOURCES) {
    test(`${file} asks for metrics, labels and buckets that exist`, () => {
      assert.ok(queries.length > 0);
      for (const query of queries) {
        const metrics = queriedMetrics(query);
        assert.ok(metrics.length > 0, query);
        assert.deepEqual(
          metrics.flatMap((metric) => problemsOf(metric, exposition)),
          [],
          query,
        );
      }
    });
  }

  test('a wrong name, label or bucket is found', () => {
    const query =
      'sum by (nonsense) (rate(grpc_server_handling_seconds_bucket{le="0.7"}[5m])) + nothing{x="y"}';
    assert.deepEqual(
      queriedMetrics(query).flatMap((metric) => problemsOf(metric, exposition)),
      [
        'grpc_server_handling_seconds_bucket has no label nonsense',
        'grpc_server_handling_seconds_bucket has no bucket 0.7',
        'nothing does not exist',
      ],
    );
    assert.throws(() => queriedMetrics('sum by (x) rate('), /not valid/);
  });
});
