/** Timeouts in seconds, as in GitLab's application settings. 0 means no limit. */
export interface Timeouts {
  readonly default: number;
  readonly fast: number;
  readonly medium: number;
  /**
   * Default: 6 hours for the client `gitlab-sidekiq`, whose jobs may take long; otherwise as
   * `default`.
   */
  readonly long?: number;
}

/** GitLab's timeouts without settings. */
export const DEFAULT_TIMEOUTS: Timeouts = { default: 55, fast: 10, medium: 30 };

const LONG_OF_JOBS = 6 * 60 * 60;

/** Returns the seconds of all timeout classes for a client with these settings. */
export function timeoutSeconds(
  clientName: string,
  timeouts: Partial<Timeouts> | undefined,
): Required<Timeouts> {
  const all = { ...DEFAULT_TIMEOUTS, ...timeouts };
  return { ...all, long: all.long ?? (clientName === 'gitlab-sidekiq' ? LONG_OF_JOBS : all.default) };
}

/** Time limit of a call, and whether the request's deadline shortened it. */
export interface CallEnd {
  readonly deadline: Date | undefined;
  readonly type: 'regular' | 'limited';
}

/**
 * Returns the end of a call that begins now: after its own timeout, but no later than its request.
 */
export function endOfCall(timeoutSeconds: number, requestDeadline: Date | undefined): CallEnd {
  const own = timeoutSeconds > 0 ? new Date(Date.now() + timeoutSeconds * 1000) : undefined;
  if (requestDeadline === undefined || (own !== undefined && own <= requestDeadline))
    return { deadline: own, type: 'regular' };
  return { deadline: requestDeadline, type: 'limited' };
}
