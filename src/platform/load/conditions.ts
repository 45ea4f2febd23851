import type { Logger } from '../log/logger.ts';
import type { CgroupStats } from './cgroup-stats.ts';

/** The load of the machine and of this process at one time. */
export interface LoadSample {
  /** Milliseconds that only grow. */
  readonly atMs: number;
  readonly cgroup: CgroupStats | undefined;
  /** 90th percentile of the delays of the event loop since the sample before. */
  readonly eventLoopDelayMs: number;
  /** Share of the heap's maximum that is in use. */
  readonly heapShare: number;
}

/** A sign of overload. */
export interface Backoff {
  readonly reason: string;
  /** Numbers for the log. */
  readonly stats: Readonly<Record<string, number>>;
}

/** Finds one sign of overload in two successive samples. */
export interface Condition {
  /** Value of the metric label `watcher`. */
  readonly name: string;
  check(previous: LoadSample, current: LoadSample): Backoff | undefined;
}

/** Thresholds of `[adaptive_limiting]`. */
export interface LoadThresholds {
  /** Share of time. 0 means 0.5. */
  readonly cpuThrottledThreshold: number;
  /** Share of the group's memory. 0 means 0.6, as in Gitaly 19.0. */
  readonly memoryThreshold: number;
  readonly psiPressure: Readonly<Record<'memory' | 'io' | 'cpu', PressureThresholds>>;
}

export interface PressureThresholds {
  readonly enabled: boolean;
  /** Percent of the last minute. The first one is only logged. */
  readonly warningThreshold: number;
  readonly backoffThreshold: number;
  readonly criticalThreshold: number;
  /** These two change only the log lines about a pressure, as in Gitaly 19.0. */
  readonly sustainDurationSeconds: number;
  readonly fastFallRatio: number;
}

/** Delays from here on mean that calls wait for the event loop more than for git. */
const EVENT_LOOP_DELAY_MS = 100;
/** Above it, V8 spends most of its time on collecting garbage. */
const HEAP_SHARE = 0.9;

/** Returns the conditions that lower adaptive limits: those of Gitaly, and two of this process. */
export function loadConditions(thresholds: LoadThresholds, logger: Logger): Condition[] {
  const cpuThreshold = thresholds.cpuThrottledThreshold || 0.5;
  const memoryThreshold = thresholds.memoryThreshold || 0.6;
  return [
    { name: 'CgroupCpu', check: (previous, current) => throttling(previous, current, cpuThreshold) },
    { name: 'CgroupMemory', check: (previous, current) => memory(previous, current, memoryThreshold) },
    ...(['cpu', 'memory', 'io'] as const)
      .filter((resource) => thresholds.psiPressure[resource].enabled)
      .map((resource) => pressure(resource, thresholds.psiPressure[resource], logger)),
    {
      name: 'EventLoop',
      check: (_previous, { eventLoopDelayMs }) =>
        eventLoopDelayMs >= EVENT_LOOP_DELAY_MS
          ? { reason: 'condition_event_loop_delay', stats: { event_loop_delay_ms: eventLoopDelayMs } }
          : undefined,
    },
    {
      name: 'ProcessMemory',
      check: (_previous, { heapShare }) =>
        heapShare >= HEAP_SHARE
          ? { reason: 'condition_process_memory', stats: { heap_share: heapShare } }
          : undefined,
    },
  ];
}

function throttling(previous: LoadSample, current: LoadSample, threshold: number): Backoff | undefined {
  const before = previous.cgroup?.throttledSeconds;
  const now = current.cgroup?.throttledSeconds;
  const seconds = (current.atMs - previous.atMs) / 1000;
  if (before === undefined || now === undefined || seconds <= 0) return undefined;
  // A smaller number belongs to another group; then nothing is known.
  if ((now - before) / seconds <= threshold) return undefined;
  return {
    reason: 'condition_cpu_throttling',
    stats: { time_diff: seconds, throttled_duration: now - before, throttled_threshold: threshold },
  };
}

function memory(previous: LoadSample, current: LoadSample, threshold: number): Backoff | undefined {
  const { anonBytes, memoryLimitBytes, oomKills } = current.cgroup ?? {};
  const before = previous.cgroup?.oomKills;
  if (oomKills !== undefined && before !== undefined && oomKills > before)
    return { reason: 'condition_memory_oom', stats: { oom_kills: oomKills } };
  if (anonBytes === undefined || memoryLimitBytes === undefined || memoryLimitBytes === 0) return undefined;
  const ratio = anonBytes / memoryLimitBytes;
  if (ratio < threshold) return undefined;
  return {
    reason: 'condition_memory_anon',
    stats: {
      anon: anonBytes,
      memory_limit: memoryLimitBytes,
      anon_ratio: ratio,
      memory_threshold: threshold,
    },
  };
}

function pressure(
  resource: 'memory' | 'io' | 'cpu',
  thresholds: PressureThresholds,
  logger: Logger,
): Condition {
  let reachedAtMs: number | undefined;
  return {
    name: 'CgroupPressure',
    check(previous, { atMs, cgroup }) {
      const some = cgroup?.pressure[resource];
      if (some === undefined || some.avg60 < thresholds.warningThreshold) {
        reachedAtMs = undefined;
        return undefined;
      }
      if (some.avg60 >= thresholds.backoffThreshold) reachedAtMs ??= atMs;
      const severity = severityOf(some.avg60, thresholds);
      const stats = {
        [`${resource}_pressure_some_avg10`]: some.avg10,
        [`${resource}_pressure_some_avg60`]: some.avg60,
      };
      const before = previous.cgroup?.pressure[resource]?.avg10 ?? 0;
      const seconds = reachedAtMs === undefined ? undefined : (atMs - reachedAtMs) / 1000;
      const fields = {
        psi_resource: resource,
        psi_severity: severity,
        psi_threshold_backoff: thresholds.backoffThreshold,
        psi_threshold_critical: thresholds.criticalThreshold,
        psi_sustained: seconds !== undefined && seconds >= thresholds.sustainDurationSeconds,
        psi_above_10s: some.avg10 >= thresholds.backoffThreshold,
        psi_falling_rapidly: before > 0 && some.avg10 < before * thresholds.fastFallRatio,
        psi_sustained_seconds: seconds,
        ...stats,
      };
      if (severity === 'critical') logger.error(fields, 'Critical PSI pressure detected');
      else if (severity === 'backoff') logger.warn(fields, 'PSI pressure at backoff threshold');
      else logger.warn(fields, 'PSI pressure above warning threshold');
      return severity === 'warning' ? undefined : { reason: `condition_psi_${severity}`, stats };
    },
  };
}

/** Returns Gitaly's name of a pressure at or above the lowest threshold. */
function severityOf(
  avg60: number,
  { backoffThreshold, criticalThreshold }: PressureThresholds,
): 'warning' | 'backoff' | 'critical' {
  if (avg60 >= criticalThreshold) return 'critical';
  return avg60 >= backoffThreshold ? 'backoff' : 'warning';
}
