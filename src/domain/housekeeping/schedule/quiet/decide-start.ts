/** The load of the host, as far as it is known. */
export interface HostLoad {
  /** Running calls, of all repositories. */
  readonly calls: number;
  /** Number of running calls above which the host counts as busy. */
  readonly busyCalls: number;
  readonly eventLoopDelayMs: number;
  /** Percent of the last ten seconds in which a process waited for a CPU; `undefined` if unknown. */
  readonly cpuPressure: number | undefined;
}

/** State of a repository that waits for its maintenance. All times are of one clock. */
export interface MaintenanceMoment {
  readonly nowMs: number;
  readonly dueSinceMs: number;
  /** Last time at which a call ran in the repository or changed it. */
  readonly lastBusyMs: number;
  /** Running calls of the repository. */
  readonly calls: number;
  /** Writes since maintenance was due. */
  readonly debt: number;
  readonly host: HostLoad;
}

export type WaitReason = 'calls' | 'recent-writes' | 'host-calls' | 'event-loop' | 'cpu-pressure';

export type StartDecision =
  | { readonly kind: 'run'; readonly reason: 'quiet' | 'overdue' }
  /** The decision cannot change by time alone before `untilMs`. */
  | { readonly kind: 'wait'; readonly reason: WaitReason; readonly untilMs: number };

/** A repository is quiet after this time without a call. */
export const QUIET_MS = 400;
const MAX_WAIT_MS = 10 * 60 * 1000;
const MIN_WAIT_MS = 60 * 1000;
/** Up to this number of writes the longest wait applies; with more it becomes shorter. */
const SMALL_DEBT = 500;
/** A quiet repository waits for the host for this part of the longest wait. */
const HOST_PART = 1 / 60;
const BUSY_LOOP_MS = 20;
const BUSY_CPU_PERCENT = 40;

/** Returns the longest wait for a quiet moment: ten minutes, with many writes down to one. */
export function maxWaitMs(debt: number): number {
  return Math.max(MIN_WAIT_MS, MAX_WAIT_MS * Math.min(1, SMALL_DEBT / debt));
}

/**
 * Decides whether the maintenance of a repository starts now. It starts when the repository and the
 * host are quiet, or when its longest wait is over.
 */
export function decideStart(moment: MaintenanceMoment): StartDecision {
  const { nowMs, dueSinceMs, lastBusyMs, calls, debt, host } = moment;
  const longestMs = maxWaitMs(debt);
  const overdueMs = dueSinceMs + longestMs;
  if (nowMs >= overdueMs) return { kind: 'run', reason: 'overdue' };
  if (calls > 0) return { kind: 'wait', reason: 'calls', untilMs: overdueMs };
  const quietMs = lastBusyMs + QUIET_MS;
  if (nowMs < quietMs)
    return { kind: 'wait', reason: 'recent-writes', untilMs: Math.min(quietMs, overdueMs) };
  const hostReason = busyHost(host);
  if (hostReason === undefined) return { kind: 'run', reason: 'quiet' };
  const hostOverdueMs = Math.min(overdueMs, Math.max(dueSinceMs, lastBusyMs) + longestMs * HOST_PART);
  if (nowMs >= hostOverdueMs) return { kind: 'run', reason: 'overdue' };
  return { kind: 'wait', reason: hostReason, untilMs: hostOverdueMs };
}

/**
 * Returns why maintenance that started at a quiet moment does not go on with its next step;
 * `undefined` if it does.
 *
 * @param calls running calls of the repository.
 */
export function reasonToGiveWay(calls: number, host: HostLoad): WaitReason | undefined {
  return calls > 0 ? 'calls' : busyHost(host);
}

function busyHost({ calls, busyCalls, eventLoopDelayMs, cpuPressure }: HostLoad): WaitReason | undefined {
  if (calls >= busyCalls) return 'host-calls';
  if (eventLoopDelayMs >= BUSY_LOOP_MS) return 'event-loop';
  if (cpuPressure !== undefined && cpuPressure >= BUSY_CPU_PERCENT) return 'cpu-pressure';
  return undefined;
}
