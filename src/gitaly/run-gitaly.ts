import { messageOf } from '#base/gitaly-error';
import { loadLazyModules } from '#base/lazy-module';
import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import { type ProcessLife, serveUntilStopped } from '#platform/process/serve-until-stopped';
import { packageVersion } from '#platform/process/version';
import { watchExceptions } from '#platform/process/watch-exceptions';
import { withCompanion } from '#platform/process/with-companion';
import { firstProcessLogger } from '#workers/start-family';
import { startProcesses } from './family/start-processes.ts';
import type { GitalyServer } from './gitaly-server.ts';

/** Developers and tests run the sources; their files change on purpose. */
const IS_BUILT = import.meta.filename.endsWith('.js');

export interface RunGitalyOptions {
  readonly logger: Logger;
  readonly life: ProcessLife;
  /** Opens the pages and ports for monitoring, which end before the server. */
  readonly openConsole?: ((server: GitalyServer) => Promise<AsyncDisposable>) | undefined;
}

/** Delay of work that would slow down the first calls, and that a server of a short test never needs. */
const LOAD_REST_AFTER_MS = 10_000;

/**
 * Loads the code that calls would load at their first use: an upgrade of the package must not mix
 * the modules of two versions in one process.
 */
async function loadRest(logger: Logger): Promise<void> {
  try {
    await loadLazyModules();
    logger.debug('all code is loaded');
  } catch (error) {
    logger.warn({ error: messageOf(error) }, 'a part of the code could not be loaded');
  }
}

/**
 * Runs a server until a signal stops it or a successor has taken over.
 *
 * @returns the exit code: 0 after a clean stop, 1 when running calls had to be aborted or an
 *   exception was the reason for the stop.
 * @throws {Error} when the server cannot be started.
 */
export async function runGitaly(
  config: GitalyConfig,
  { life, openConsole, ...options }: RunGitalyOptions,
): Promise<number> {
  const startedAt = performance.now();
  const logger = firstProcessLogger(options.logger, config.workers.max);
  logger.info({ version: packageVersion() }, 'Starting Gitaly');
  if (config.auth.token !== undefined && config.auth.transitioning) {
    logger.warn(
      'Authentication is enabled but not enforced because transitioning=true. Gitaly will accept ' +
        'unauthenticated requests.',
    );
  }
  const server = await startProcesses(config, {
    logger,
    takeSocket: life.inherited.take,
    predecessorEnded: life.inherited.predecessor?.ended,
    copiesPrograms: IS_BUILT,
    log: life.log,
    keepsHistory: openConsole !== undefined,
  });
  using exceptions = watchExceptions({ contain: (exception) => server.contain(exception) });
  logger.info({ duration_ms: Math.round(performance.now() - startedAt) }, 'Started Gitaly');
  if (IS_BUILT) setTimeout(() => void loadRest(logger), LOAD_REST_AFTER_MS).unref();
  const served = openConsole === undefined ? server : await withCompanion(server, openConsole);
  return await serveUntilStopped(served, {
    name: 'Gitaly',
    logger,
    life,
    graceMs: config.gracefulRestartTimeoutMs,
    exceptions,
  });
}
