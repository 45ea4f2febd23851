import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import { gracefulStop } from '#platform/process/graceful-stop';
import { writePidFile } from '#platform/process/pid-file';
import type { StopRequest } from '#platform/process/signals';
import { packageVersion } from '#platform/process/version';
import { GitalyServer } from './gitaly-server.ts';

export interface RunOptions {
  readonly logger: Logger;
  /** Aborts when the server is to stop; `reason` is a {@link StopRequest}. */
  readonly stop: AbortSignal;
  /** Aborts when it is to stop at once. */
  readonly force: AbortSignal;
}

/**
 * Runs a server until `stop` aborts.
 *
 * @returns the exit code: 0 after a clean stop, 1 when running calls had to be aborted.
 * @throws {Error} when the server cannot be started.
 */
export async function runGitaly(config: GitalyConfig, options: RunOptions): Promise<number> {
  const { logger, stop, force } = options;
  const startedAt = performance.now();
  logger.info({ version: packageVersion() }, 'Starting Gitaly');
  if (config.auth.token !== undefined && config.auth.transitioning) {
    logger.warn(
      'Authentication is enabled but not enforced because transitioning=true. Gitaly will accept unauthenticated requests.',
    );
  }
  const server = await GitalyServer.start({ config, logger });
  const removePidFile = writePidFile();
  logger.info({ duration_ms: Math.round(performance.now() - startedAt) }, 'Started Gitaly');

  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  const failure = await gracefulStop({
    request: stop.reason as StopRequest, // whoever aborts `stop` gives one
    graceMs: config.gracefulRestartTimeoutMs,
    force,
    logger,
    drain: () => server.drain(),
    kill: () => server[Symbol.asyncDispose](),
  });
  removePidFile();
  if (failure !== undefined) logger.error({ error: failure }, 'unclean Gitaly shutdown');
  logger.info('Gitaly shutdown');
  return failure === undefined ? 0 : 1;
}
