import type { Logger } from '../log/logger.ts';
import type { StopRequest } from './signals.ts';

export interface GracefulStopOptions {
  readonly request: StopRequest;
  /** Time for which calls may continue. */
  readonly graceMs: number;
  /** Ends the grace period early. */
  readonly force: AbortSignal;
  readonly logger: Logger;
  /** Stops accepting calls; resolves when the last one has ended. */
  readonly drain: () => Promise<void>;
  /** Aborts the remaining calls. */
  readonly kill: () => Promise<void>;
}

/**
 * Drains the server. Aborts the remaining calls when the grace period ends or a second signal
 * arrives.
 *
 * @returns `undefined` after a clean stop, otherwise an error with Gitaly's text, with which the
 *   process ends with exit code 1.
 */
export async function gracefulStop(options: GracefulStopOptions): Promise<Error | undefined> {
  const { logger, force, graceMs } = options;
  logger.info({ signal: options.request.reason }, '[shutdown] stopping Gitaly');
  logger.info({ grace_period_ms: graceMs }, 'starting grace period');

  const ended = new AbortController();
  const expiry = new Promise<string>((resolve) => {
    const timer = setTimeout(() => resolve('grace period expired'), graceMs);
    ended.signal.addEventListener('abort', () => clearTimeout(timer));
  });
  const forced = new Promise<string>((resolve) => {
    if (force.aborted) resolve('force shutdown');
    else force.addEventListener('abort', () => resolve('force shutdown'), { signal: ended.signal });
  });
  try {
    const failure = await Promise.race([options.drain().then(() => undefined), expiry, forced]);
    if (failure === undefined) {
      logger.info('[shutdown] stopped Gitaly gracefully');
      return undefined;
    }
    await options.kill();
    return new Error(`received signal "${options.request.reason}": wait: ${failure}`);
  } finally {
    ended.abort();
  }
}
