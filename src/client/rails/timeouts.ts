/** How long calls may take, as GitLab's application settings have it, in seconds. 0 means without an end. */
export interface Timeouts {
  readonly default: number;
  readonly fast: number;
  readonly medium: number;
  /** Without it: 6 hours for the client `gitlab-sidekiq`, whose jobs may take long; else as `default`. */
  readonly long?: number;
}

/** What GitLab has without settings. */
export const DEFAULT_TIMEOUTS: Timeouts = { default: 55, fast: 10, medium: 30 };

const LONG_OF_JOBS = 6 * 60 * 60;

/** The seconds that a class of time-outs stands for. */
export function timeoutSeconds(
  name: keyof Timeouts,
  { clientName, timeouts }: { clientName: string; timeouts: Partial<Timeouts> | undefined },
): number {
  const all = { ...DEFAULT_TIMEOUTS, ...timeouts };
  return all[name] ?? (clientName === 'gitlab-sidekiq' ? LONG_OF_JOBS : all.default);
}

/** When a call ends, and whether the request that it is for cut its time. */
export interface CallEnd {
  readonly deadline: Date | undefined;
  readonly type: 'regular' | 'limited';
}

/** The end of a call that begins now: after its own time, but no later than the request that it is for. */
export function endOfCall(timeoutSeconds: number, requestDeadline: Date | undefined): CallEnd {
  const own = timeoutSeconds > 0 ? new Date(Date.now() + timeoutSeconds * 1000) : undefined;
  if (requestDeadline === undefined || (own !== undefined && own <= requestDeadline)) return { deadline: own, type: 'regular' };
  return { deadline: requestDeadline, type: 'limited' };
}
