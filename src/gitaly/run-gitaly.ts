import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import { type ProcessLife, serveUntilStopped } from '#platform/process/serve-until-stopped';
import { packageVersion } from '#platform/process/version';
import { watchExceptions } from '#platform/process/watch-exceptions';
import { GitalyServer } from './gitaly-server.ts';

export interface RunOptions {
  readonly logger: Logger;
  readonly life: ProcessLife;
}

/**
 * Runs a server until a signal stops it or a successor has taken over.
 *
 * @returns the exit code: 0 after a clean stop, 1 when running calls had to be aborted or an
 *   exception was the reason for the stop.
 * @throws {Error} when the server cannot be started.
 */
export async function runGitaly(config: GitalyConfig, { logger, life }: RunOptions): Promise<number> {
  const startedAt = performance.now();
  logger.info({ version: packageVersion() }, 'Starting Gitaly');
  if (config.auth.token !== undefined && config.auth.transitioning) {
    logger.warn(
      'Authentication is enabled but not enforced because transitioning=true. Gitaly will accept ' +
        'unauthenticated requests.',
    );
  }
  const server = await GitalyServer.start({ config, logger, takeSocket: life.inherited.take });
  using exceptions = watchExceptions({ contain: (exception) => server.contain(exception) });
  logger.info({ duration_ms: Math.round(performance.now() - startedAt) }, 'Started Gitaly');
  return await serveUntilStopped(server, {
    name: 'Gitaly',
    logger,
    life,
    graceMs: config.gracefulRestartTimeoutMs,
    exceptions,
  });
}
