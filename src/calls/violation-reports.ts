import { INVARIANTS, onViolation } from '#base/invariant';
import type { Logger } from '#platform/log/logger';
import { BROKEN } from '#platform/metrics/invariant-metrics';
import type { MetricsRegistry } from '#platform/metrics/metrics-registry';
import { runningCall } from './running-call.ts';

/** Logs and counts the violations of invariants in this process until it is disposed. */
export function reportViolations(registry: MetricsRegistry, logger: Logger): Disposable {
  const { violations } = registry.declare(BROKEN);
  for (const invariant of INVARIANTS) violations.with({ invariant });
  return onViolation(({ invariant, what }) => {
    violations.with({ invariant }).inc();
    const call = runningCall();
    const of = call && { method: call.method.path, correlation_id: call.context.correlationId };
    logger.error({ invariant, error: what, ...of }, 'an invariant is broken');
  });
}
