import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import type { Balancer } from './balancer.ts';

/** How often a connection that failed is looked at again; the pauses between attempts are the subconnection's own. */
const RECHECK_MS = 50;

/**
 * Waits until a transport is there. Failed attempts are repeated (with the connection's backoff) until the signal or the time-out
 * ends the waiting.
 *
 * @throws {GitalyError} DEADLINE_EXCEEDED after `timeoutMs`, CANCELLED on abort; with `failOnNonTemporaryError` the error of the
 * first attempt that failed for a lasting reason.
 */
export async function waitUntilReady(
  balancer: Balancer,
  options: { signal?: AbortSignal; timeoutMs?: number; failOnNonTemporaryError?: boolean },
): Promise<void> {
  const expired = new AbortController();
  const timer = options.timeoutMs === undefined ? undefined : setTimeout(() => expired.abort(), options.timeoutMs);
  const signal = options.signal === undefined ? expired.signal : AbortSignal.any([options.signal, expired.signal]);
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
    if (options.signal?.aborted) throw new GitalyError('CANCELLED', 'context canceled', { cause: options.signal.reason });
    throw new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded', { cause: lastError });
  } finally {
    clearTimeout(timer);
  }
}

function isFinal(error: unknown, balancer: Balancer, failOnNonTemporaryError: boolean): boolean {
  if (balancer.state === 'shutdown') return true;
  return failOnNonTemporaryError && error instanceof GitalyError && error.metadata.temporary === false;
}
