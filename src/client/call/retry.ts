import type { StatusCode } from '#base/gitaly-error';
import type { MethodInfo } from '#wire/method-info';

/**
 * A policy for retries. Only read-only calls are retried, and only before response headers arrive.
 */
export interface RetryPolicy {
  /** Total number of attempts, including the first. */
  readonly maxAttempts: number;
  readonly initialBackoffMs: number;
  readonly maxBackoffMs: number;
  readonly multiplier: number;
  readonly codes: readonly StatusCode[];
  /**
   * Paths of read-only methods that the interface does not declare as such:
   * `/grpc.health.v1.Health/Check`.
   */
  readonly methods?: readonly string[];
}

/** The policy of Gitaly's Go client since 15.9. */
export const DEFAULT_RETRY_POLICY: RetryPolicy = {
  maxAttempts: 4,
  initialBackoffMs: 400,
  maxBackoffMs: 1400,
  multiplier: 2,
  codes: ['UNAVAILABLE'],
};

/** Returns the policy for a method, or `undefined`. */
export function policyFor(
  policy: RetryPolicy | undefined,
  { operation, path }: MethodInfo,
): RetryPolicy | undefined {
  return operation === 'accessor' || policy?.methods?.includes(path) ? policy : undefined;
}

/** Random part of the delays, as in gRPC, so that many callers do not retry at the same moment. */
const JITTER = 0.2;

/**
 * Returns the delay after `attempt` attempts (1 or more) failed with `code`; `undefined` means that
 * the failure is final.
 *
 * @param random in [0, 1), for tests.
 */
export function retryDelayMs(
  policy: RetryPolicy | undefined,
  {
    attempt,
    code,
    random = Math.random(),
  }: { attempt: number; code: StatusCode | undefined; random?: number },
): number | undefined {
  if (policy === undefined || code === undefined || attempt >= policy.maxAttempts) return undefined;
  if (!policy.codes.includes(code)) return undefined;

  return backoffMs({
    attempt,
    random,
    baseMs: policy.initialBackoffMs,
    maxMs: policy.maxBackoffMs,
    multiplier: policy.multiplier,
  });
}

/**
 * Returns an exponential backoff with jitter: `base × multiplier^(attempt - 1)`, at most `maxMs`, ±
 * 20 %.
 */
export function backoffMs(options: {
  attempt: number;
  baseMs: number;
  maxMs: number;
  multiplier: number;
  random?: number;
}): number {
  const { attempt, baseMs, maxMs, multiplier, random = Math.random() } = options;
  const delay = Math.min(baseMs * multiplier ** (attempt - 1), maxMs);
  return delay * (1 - JITTER + 2 * JITTER * random);
}
