import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, suite, test } from 'node:test';
import { ADAPTIVE_LIMITS } from '#platform/metrics/adaptive-limit-metrics';
import { limitMetrics } from '#platform/metrics/limit-metrics';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { packMetrics } from '#platform/metrics/pack-metrics';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { until } from '#testkit/until';
import { writeMetricsFile } from '#tools/backup/metrics-file';
import { familiesOf } from './exposition.ts';
import { makeCalls, metricsOf, startObserved } from './scripted-calls.ts';
import { missingOf, shippedQueries } from './shipped-queries.ts';

/** Returns metrics that appear with limits, refusals and caches, from the functions that declare them. */
function metricsOfLimits(): string {
  const registry = new MetricsRegistry();
  const options = { latencyBuckets: [0.1, 1] };
  limitMetrics(registry, options)('service', 'method').dropped('rate', true).inc();
  const adaptive = registry.declare(ADAPTIVE_LIMITS);
  adaptive.currentLimit.with({ limit: 'limit' }).set(1);
  adaptive.backoffEvents.with({ watcher: 'watcher' }).inc();
  const packs = packMetrics(registry, options);
  for (const kind of ['authenticated', 'unauthenticated', 'total'] as const)
    packs.limits[kind].dropped('max_size');
  packs.looked('hit');
  packs.streamCache('pack_objects', '/directory');
  return registry.render('text');
}

/** Returns the metrics of "gitaly-ts backup". */
async function metricsOfBackups(): Promise<string> {
  const file = join(makeScratchDirectory('backup-metrics'), 'backup.prom');
  const repositories = { done: 1, skipped: 0, failed: 0 };
  const facts = { storage: 'default', bytes: 1, seconds: 1, endedMs: Date.now() };
  await writeMetricsFile(file, { ...facts, isComplete: true, repositories });
  const text = readFileSync(file, 'utf8');
  rmSync(dirname(file), { recursive: true });
  return text;
}

suite('the dashboards and the alert rules of gitaly', () => {
  let exposition = '';
  before(async () => {
    await using gitaly = await startObserved();
    await makeCalls(gitaly);
    // The event loop's delays and a process' end are seen some time after the calls.
    await until(async () => {
      exposition = await metricsOf(gitaly);
      const names = [
        'gitaly_command_cpu_seconds_total',
        'gitaly_ts_storage_size_bytes',
        'nodejs_gc_duration_seconds',
      ];
      return names.every((name) => (familiesOf(exposition).get(name)?.labels ?? '') !== '');
    });
    // A family may be there without series; those of the second text then count.
    const ofLimits = metricsOfLimits();
    const own = [...familiesOf(ofLimits).keys()];
    const kept = exposition.split(/(?=^# HELP )/m).filter((text) => !own.includes(text.split(' ')[2] ?? ''));
    exposition = kept.join('') + ofLimits + (await metricsOfBackups());
  });

  for (const [file, queries] of shippedQueries('gitaly')) {
    test(`${file}: asks for metrics, labels and buckets that exist`, () => {
      assert.ok(queries.length > 0);
      for (const query of queries) assert.deepEqual(missingOf(query, exposition), [], query);
    });
  }

  test('a wrong name, label or bucket is found', () => {
    const query =
      'sum by (nonsense) (rate(grpc_server_handling_seconds_bucket{le="0.7"}[5m])) + nothing{x="y"}';
    assert.deepEqual(missingOf(query, exposition), [
      'grpc_server_handling_seconds_bucket has no label nonsense',
      'grpc_server_handling_seconds_bucket has no bucket 0.7',
      'nothing does not exist',
    ]);
    assert.throws(() => missingOf('sum by (x) rate(', exposition), /not valid/);
  });
});
