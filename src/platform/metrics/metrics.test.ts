import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { buildInfo, COMMANDS, gitalyMetrics } from './gitaly-metrics.ts';
import { grpcServerMetrics } from './grpc-metrics.ts';
import { counter, gauge, histogram } from './metric.ts';
import { MetricsRegistry } from './metrics-registry.ts';

const BUCKETS = [0.001, 0.005, 0.025, 0.1, 0.5, 1, 10, 30, 60, 300, 1500];

/** Returns the lines of a registry that carry values. */
function lines(registry: MetricsRegistry): string[] {
  return registry
    .render('text')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
}

/**
 * Returns what a text exposition contains of each family: name, type, labels and bucket bounds,
 * separated by tabs.
 */
function describe(exposition: string): Map<string, string> {
  const families = new Map<string, string>();
  for (const family of exposition.split('# HELP ').slice(1)) {
    const [, name = '', type = ''] = /# TYPE (\w+) (\w+)/.exec(family) ?? [];
    const first = /^\w+\{(.*)\} /m.exec(family)?.[1] ?? '';
    const labels = Array.from(first.matchAll(/(\w+)="/g), ([, label]) => label).filter(
      (label) => label !== 'le',
    );
    const bounds = new Set(Array.from(family.matchAll(/le="([^+"]+)"/g), ([, bound]) => bound));
    families.set(name, [name, type, labels.join(','), [...bounds].join(',')].join('\t'));
  }
  return families;
}

/** Returns a registry with every metric of this module, each with one series. */
function everything(): MetricsRegistry {
  const registry = new MetricsRegistry();
  const command = {
    grpc_service: 's',
    grpc_method: 'm',
    cmd: 'git',
    subcmd: 'gc',
    git_version: '2',
    reference_backend: 'files',
  };
  const metrics = gitalyMetrics(registry);
  const method = { type: 'unary', service: 'gitaly.X', method: 'Y' } as const;
  const methods = [method];
  const codes = ['OK', 'NotFound'];
  const ofMethod = grpcServerMetrics(registry, { latencyBuckets: BUCKETS, codes, methods });
  ofMethod(method).handlingSeconds?.observe(1);
  buildInfo(registry, { version: '1', gitVersion: '2.53.0' });
  metrics.featureFlagCheck('x', true);
  metrics.authenticationError('token has expired');
  metrics.clientRequest({
    client_name: '',
    grpc_service: '',
    grpc_method: '',
    call_site: '',
    auth_version: '',
    grpc_code: '',
    deadline_type: '',
    method_operation: '',
    method_scope: '',
  });
  const commands = registry.declare(COMMANDS);
  commands.cpuSeconds.with({ ...command, mode: 'user' });
  for (const key of ['realSeconds', 'minorPageFaults', 'majorPageFaults', 'signalsReceived'] as const)
    commands[key].with(command);
  commands.contextSwitches.with({ ...command, ctxswitchtype: 'voluntary' });
  commands.running.with(command);
  return registry;
}

test('families have the types, labels and buckets of Gitaly 19.0', () => {
  const recorded = new Map(
    readFileSync(new URL('fixtures/families.tsv', import.meta.url), 'utf8')
      .split('\n')
      .map((line) => [line.split('\t')[0] ?? '', line]),
  );
  const compared: string[] = [];

  for (const [name, description] of describe(everything().render('text'))) {
    const expected = recorded.get(name);
    if (expected === undefined) continue;
    compared.push(name);
    assert.equal(description, expected);
  }
  assert.equal(compared.length, 17, compared.join(' '));
});

// An idle server returned 1 MB of series that nobody had used.
test('the other statuses and the histogram of a registered method start with its first call', () => {
  const registry = new MetricsRegistry();
  const method = { type: 'unary', service: 'gitaly.X', method: 'Y' } as const;
  const labels = 'grpc_method="Y",grpc_service="gitaly.X",grpc_type="unary"';

  const metrics = grpcServerMetrics(registry, {
    latencyBuckets: [1],
    codes: ['OK', 'NotFound'],
    methods: [method],
  });

  const others = [
    `grpc_server_msg_received_total{${labels}} 0`,
    `grpc_server_msg_sent_total{${labels}} 0`,
    `grpc_server_started_total{${labels}} 0`,
  ];
  assert.deepEqual(lines(registry), [`grpc_server_handled_total{grpc_code="OK",${labels}} 0`, ...others]);

  metrics(method).handled('OK').inc();
  metrics(method).handlingSeconds?.observe(0.5);

  assert.deepEqual(lines(registry), [
    `grpc_server_handled_total{grpc_code="OK",${labels}} 1`,
    `grpc_server_handled_total{grpc_code="NotFound",${labels}} 0`,
    `grpc_server_handling_seconds_bucket{${labels},le="1"} 1`,
    `grpc_server_handling_seconds_bucket{${labels},le="+Inf"} 1`,
    `grpc_server_handling_seconds_sum{${labels}} 0.5`,
    `grpc_server_handling_seconds_count{${labels}} 1`,
    ...others,
  ]);
});

test('without buckets there is no latency histogram', () => {
  const registry = new MetricsRegistry();
  const method = { type: 'unary', service: 'gitaly.X', method: 'Y' } as const;

  const metrics = grpcServerMetrics(registry, { latencyBuckets: [], codes: ['OK'], methods: [method] });

  assert.equal(metrics(method).handlingSeconds, undefined);
  assert.ok(!lines(registry).some((line) => line.includes('handling_seconds')));
});

test('histogram buckets are cumulative, and a value on a bound belongs to its bucket', () => {
  const registry = new MetricsRegistry();
  const series = registry.declare({ metric: histogram('h', [], 'h', [0.5, 1]) }).metric;

  for (const value of [0.1, 0.5, 0.7, 1, 7]) series.observe(value);

  assert.deepEqual(lines(registry), [
    'h_bucket{le="0.5"} 2',
    'h_bucket{le="1"} 4',
    'h_bucket{le="+Inf"} 5',
    'h_sum 9.3',
    'h_count 5',
  ]);
});

test('a family that clients could fill without limit continues to count in one series', () => {
  const registry = new MetricsRegistry();
  const family = registry.declare({ metric: counter('c_total', ['client'], 'c') }).metric;

  for (let client = 0; client < 10_500; client++) family.with({ client: `c${client}` }).inc();

  const all = lines(registry);
  assert.equal(all.length, 10_001);
  assert.equal(all.at(-1), 'c_total{client="overflow"} 500');
});

test('a removed series starts at 0 when it is used again', () => {
  const registry = new MetricsRegistry();
  const family = registry.declare({ metric: gauge('g', ['dir'], 'g') }).metric;
  family.with({ dir: 'a' }).set(5);

  family.remove({ dir: 'a' });
  assert.deepEqual(lines(registry), []);

  family.with({ dir: 'a' }).dec();
  assert.deepEqual(lines(registry), ['g{dir="a"} -1']);
});

test('counters that are declared to be shown are returned with their labels', () => {
  const registry = new MetricsRegistry();
  const { fetches, total } = registry.declare({
    fetches: counter('fetches_total', ['kind'], 'h', { shown: { title: 'Fetches', kind: 'counter' } }),
    total: counter('c_total', [], 'h', { shown: { title: 'All', kind: 'counter' } }),
    hidden: counter('hidden_total', [], 'h'),
  });
  fetches.with({ kind: 'a' }).inc(2);
  total.inc();

  assert.deepEqual(registry.shown(), [
    { title: 'Fetches', kind: 'counter', values: { 'kind="a"': 2 } },
    { title: 'All', kind: 'counter', values: { '': 1 } },
  ]);
});

test('the same name cannot be declared twice', () => {
  const registry = new MetricsRegistry();
  registry.declare({ metric: gauge('g', [], 'g') }).metric;

  assert.throws(() => registry.declare({ metric: counter('g', [], 'g') }).metric, /declared twice/);
});

test('gauges that are expensive to compute are set before each collection', () => {
  const registry = new MetricsRegistry();
  const series = registry.declare({ metric: gauge('g', [], 'g') }).metric;
  let readings = 0;
  registry.beforeCollect(() => series.set(++readings));

  lines(registry);

  assert.deepEqual(lines(registry), ['g 2']);
});
