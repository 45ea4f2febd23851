import type { Logger } from '../log/logger.ts';
import type { StopRequest } from './signals.ts';

export interface GracefulStopOptions {
  /** Name of the server in the log: `Gitaly`, `Praefect`. */
  readonly server: string;
  /** Reason of the stop; `undefined` when a new process has taken over. */
  readonly request: StopRequest | undefined;
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
  const { logger, force, graceMs, request, server } = options;
  if (request === undefined) logger.info(`[graceful upgrade] stopping old ${server}`);
  else logger.info({ signal: request.reason }, `[shutdown] stopping ${server}`);
  logger.warn({ grace_period_ms: graceMs }, 'starting grace period');

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
      logger.info(
        request === undefined
          ? `[graceful upgrade] stopped old ${server}`
          : `[shutdown] stopped ${server} gracefully`,
      );
      return undefined;
    }
    await options.kill();
    return new Error(
      request === undefined
        ? `graceful upgrade: ${failure}`
        : `received signal "${request.reason}": wait: ${failure}`,
    );
  } finally {
    ended.abort();
  }
}
