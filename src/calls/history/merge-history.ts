import type { HistorySample, ServerHistory } from './call-history.ts';

const MAX_SLOW_CALLS = 100;

/**
 * Merges the last hour of the processes of a server. Rates, memory and processors are sums. The
 * median is the mean of the processes' medians by their calls; the highest p99 counts.
 */
export function mergeHistory(own: ServerHistory, others: readonly ServerHistory[]): ServerHistory {
  if (others.length === 0) return own;
  const intervalMs = own.interval_seconds * 1000;
  // Processes sample at different moments: those of one interval belong together.
  const byInterval = others.map(
    ({ samples }) => new Map(samples.map((one) => [slotOf(one, intervalMs), one])),
  );
  return {
    ...own,
    samples: own.samples.map((sample) => {
      const slot = slotOf(sample, intervalMs);
      return mergeSamples(
        sample,
        byInterval.flatMap((samples) => samples.get(slot) ?? []),
      );
    }),
    slow_calls: [own, ...others]
      .flatMap(({ slow_calls }) => slow_calls)
      .sort((a, b) => (a.time < b.time ? 1 : -1))
      .slice(0, MAX_SLOW_CALLS),
  };
}

function slotOf({ time }: HistorySample, intervalMs: number): number {
  return Math.floor(Date.parse(time) / intervalMs);
}

function mergeSamples(own: HistorySample, others: readonly HistorySample[]): HistorySample {
  const all = [own, ...others];
  const sum = (pick: (sample: HistorySample) => number): number =>
    all.reduce((total, sample) => total + pick(sample), 0);
  const calls = sum(({ calls_per_second }) => calls_per_second);
  const weighted = sum(({ calls_per_second, p50_ms }) => calls_per_second * p50_ms);
  return {
    time: own.time,
    calls_per_second: calls,
    errors_per_second: sum(({ errors_per_second }) => errors_per_second),
    p50_ms: calls === 0 ? own.p50_ms : weighted / calls,
    p99_ms: Math.max(...all.map(({ p99_ms }) => p99_ms)),
    memory_bytes: sum(({ memory_bytes }) => memory_bytes),
    cpu_cores: sum(({ cpu_cores }) => cpu_cores),
  };
}
