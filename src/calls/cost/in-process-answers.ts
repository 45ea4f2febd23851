import type { InProcessName, InProcessObserver } from '#git/command/in-process';
import type { InProcessMetrics } from '#platform/metrics/gitaly-metrics';
import type { Counter } from '#platform/metrics/metrics-registry';
import { runningCall } from '../running-call.ts';

/** Reasons on one log line; a call that falls back more often has the same ones. */
const MAX_REASONS = 8;

/**
 * Counts reads that were served in process and those that needed git. The log line of a call that
 * fell back has these fields: `in_process.fallbacks` times, for `in_process.reasons`.
 */
export function observeInProcess(metrics: InProcessMetrics): InProcessObserver {
  const counterOf = (path: 'in_process' | 'git') => {
    const counters = new Map<InProcessName, Counter>();
    return (name: InProcessName): Counter => {
      const known = counters.get(name);
      if (known !== undefined) return known;
      const counter = metrics.answers.with({ name, path });
      counters.set(name, counter);
      return counter;
    };
  };
  const [answered, fellBack] = [counterOf('in_process'), counterOf('git')];
  return {
    onAnswered: (name) => answered(name).inc(),
    onFellBack: (name, reason) => {
      fellBack(name).inc();
      if (reason !== undefined) addToLine(`${name}: ${reason}`);
    },
  };
}

function addToLine(reason: string): void {
  const call = runningCall();
  if (call === undefined) return;
  const { 'in_process.fallbacks': count = 0, 'in_process.reasons': reasons = '' } = call.logFields;
  const listed = String(reasons).split('; ').filter(Boolean);
  const isNew = listed.length < MAX_REASONS && !listed.includes(reason);
  call.context.log.add({
    'in_process.fallbacks': Number(count) + 1,
    'in_process.reasons': (isNew ? [...listed, reason] : listed).join('; '),
  });
}
