import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { repairMetrics } from './repair-metrics.ts';

const ofStorage = (storage: string, result = ''): string =>
  `{${result && `result="${result}",`}storage="${storage}",virtual_storage="default"}`;

// Names and labels are those of Gitaly.
test('verifications, released leases and reconciliations are counted, from the start on', () => {
  const registry = new MetricsRegistry();
  const metrics = repairMetrics(registry, [1, 5], new Map([['default', ['a']]]));
  /** Returns the series of all families, without the common part of their names. */
  const series = () =>
    registry
      .render('text')
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#') && !line.includes('_bucket'))
      .map((line) => line.replace('gitaly_praefect_', ''));
  assert.deepEqual(series().slice(-4), [
    ...['valid', 'invalid', 'error'].map(
      (result) => `verification_jobs_completed_total${ofStorage('a', result)} 0`,
    ),
    `verification_jobs_dequeued_total${ofStorage('a')} 0`,
  ]);

  metrics.verifier.dequeued('default', 'a');
  metrics.verifier.completed('default', 'a', 'invalid');
  metrics.verifier.completed('default', 'b', 'valid');
  metrics.verifier.released(3);
  metrics.reconciliationTook(2.5);

  assert.deepEqual(series(), [
    'reconciliation_scheduling_seconds_sum 2.5',
    'reconciliation_scheduling_seconds_count 1',
    'stale_verification_leases_released_total 3',
    `verification_jobs_completed_total${ofStorage('a', 'valid')} 0`,
    `verification_jobs_completed_total${ofStorage('a', 'invalid')} 1`,
    `verification_jobs_completed_total${ofStorage('a', 'error')} 0`,
    `verification_jobs_completed_total${ofStorage('b', 'valid')} 1`,
    `verification_jobs_dequeued_total${ofStorage('a')} 1`,
  ]);
});
