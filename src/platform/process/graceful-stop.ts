import type { Logger } from '../log/logger.ts';
import type { StopRequest } from './signals.ts';

export interface GracefulStopOptions {
  readonly request: StopRequest;
  /** How long calls may go on. */
  readonly graceMs: number;
  /** Ends the grace period early. */
  readonly force: AbortSignal;
  readonly logger: Logger;
  /** Stops taking calls; resolves when the last one has ended. */
  readonly drain: () => Promise<void>;
  /** Ends what is still there. */
  readonly kill: () => Promise<void>;
  /** Calls that are still open, one line each, for the log when time runs out. */
  readonly stillOpen?: () => readonly string[];
}

/**
 * Drains, and kills when the grace period ends or a second signal comes.
 *
 * @returns `undefined` after a clean stop, else an error with Gitaly's text, with which the process ends in exit code 1.
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
    const open = options.stillOpen?.() ?? [];
    if (open.length > 0) logger.warn({ open }, '[shutdown] ending calls that are still open');
    await options.kill();
    return new Error(`received signal "${options.request.reason}": wait: ${failure}`);
  } finally {
    ended.abort();
  }
}
