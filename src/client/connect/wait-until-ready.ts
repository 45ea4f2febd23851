import { setTimeout as delay } from 'node:timers/promises';
import { timerMs } from '#base/async/timer-ms';
import { GitalyError } from '#base/gitaly-error';
import type { Balancer } from './balancer.ts';

/**
 * Interval for checking a failed connection again; the subconnection has its own pauses between
 * attempts.
 */
const RECHECK_MS = 50;

/**
 * Waits until a transport is ready. Failed attempts are retried (with the connection's backoff)
 * until the signal or the timeout.
 *
 * @throws {GitalyError} DEADLINE_EXCEEDED after `timeoutMs`, CANCELLED on abort; with
 *   `failOnNonTemporaryError` the error of the first attempt that failed permanently.
 */
export async function waitUntilReady(
  balancer: Balancer,
  options: { signal?: AbortSignal; timeoutMs?: number; failOnNonTemporaryError?: boolean },
): Promise<void> {
  const expired = new AbortController();
  using _timer =
    options.timeoutMs === undefined
      ? undefined
      : setTimeout(() => expired.abort(), timerMs(options.timeoutMs));
  const signal =
    options.signal === undefined ? expired.signal : AbortSignal.any([options.signal, expired.signal]);
  let lastError: unknown;
  try {
    for (;;) {
      try {
        await balancer.waitForTransport(signal);
        return;
      } catch (error) {
        if (isFinal(error, balancer, options.failOnNonTemporaryError ?? false)) throw error;
        if (!signal.aborted) lastError = error;
      }
      await delay(RECHECK_MS, undefined, { signal });
    }
  } catch (error) {
    if (!signal.aborted) throw error;
    if (options.signal?.aborted)
      throw new GitalyError('CANCELLED', 'context canceled', { cause: options.signal.reason });
    throw new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded', { cause: lastError });
  }
}

function isFinal(error: unknown, balancer: Balancer, failOnNonTemporaryError: boolean): boolean {
  if (balancer.state === 'shutdown') return true;
  return failOnNonTemporaryError && error instanceof GitalyError && error.metadata.temporary === false;
}
