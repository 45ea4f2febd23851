import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import type { DequeuedJob } from '../model/job.ts';
import { replicationMetrics } from './replication-metrics.ts';

const job: DequeuedJob = {
  id: 1,
  attemptsLeft: 2,
  createdAt: new Date(),
  change: 'update',
  repositoryId: 1,
  virtualStorage: 'default',
  relativePath: 'x.git',
  replicaPath: 'x.git',
  source: 'a',
  target: 'b',
  correlationId: 'id',
};

// As in Gitaly 19.0: failures, which are mostly quick, do not hide how long copies take.
test('the latency of jobs is that of the completed ones, the delay that of all', () => {
  const registry = new MetricsRegistry();
  const observer = replicationMetrics(registry, [1]);

  observer.started(job)('failed');
  observer.started(job)('completed');

  const lines = registry.render('text').split('\n');
  const value = (name: string) =>
    lines.find((line) => line.startsWith(`gitaly_praefect_replication_${name}`));
  assert.equal(
    value('latency_count{type="update"'),
    'gitaly_praefect_replication_latency_count{type="update"} 1',
  );
  assert.equal(
    value('delay_count{type="update"'),
    'gitaly_praefect_replication_delay_count{type="update"} 2',
  );
  assert.match(value('jobs{') ?? '', / 0$/);
});
