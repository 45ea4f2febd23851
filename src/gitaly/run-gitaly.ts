import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import { gracefulStop } from '#platform/process/graceful-stop';
import { writePidFile } from '#platform/process/pid-file';
import type { StopRequest, StopSignals } from '#platform/process/signals';
import { packageVersion } from '#platform/process/version';
import { EXCEPTION_GRACE_MS, watchExceptions } from '#platform/process/watch-exceptions';
import { GitalyServer } from './gitaly-server.ts';

export interface RunOptions {
  readonly logger: Logger;
  /** Aborts when the server must stop; `reason` is a {@link StopRequest}. */
  readonly stop: AbortSignal;
  /** Aborts when the server must stop at once. */
  readonly force: AbortSignal;
  /** Makes SIGHUP renew the TLS certificate; used if there is a TLS listener. */
  readonly useHangup?: StopSignals['useHangup'];
}

/**
 * Runs a server until `stop` aborts.
 *
 * @returns the exit code: 0 after a clean stop, 1 when running calls had to be aborted or an
 *   exception was the reason for the stop.
 * @throws {Error} when the server cannot be started.
 */
export async function runGitaly(config: GitalyConfig, options: RunOptions): Promise<number> {
  const { logger, stop, force } = options;
  const startedAt = performance.now();
  logger.info({ version: packageVersion() }, 'Starting Gitaly');
  if (config.auth.token !== undefined && config.auth.transitioning) {
    logger.warn(
      'Authentication is enabled but not enforced because transitioning=true. Gitaly will accept ' +
        'unauthenticated requests.',
    );
  }
  const server = await GitalyServer.start({ config, logger });
  using exceptions = watchExceptions({ contain: (exception) => server.contain(exception) });
  if (server.addresses.tls !== undefined) options.useHangup?.(() => void server.renewTls());
  const removePidFile = writePidFile();
  logger.info({ duration_ms: Math.round(performance.now() - startedAt) }, 'Started Gitaly');

  const stopped = AbortSignal.any([stop, exceptions.stop]);
  if (!stopped.aborted)
    await new Promise((resolve) => stopped.addEventListener('abort', resolve, { once: true }));
  const graceMs = config.gracefulRestartTimeoutMs;
  const failure = await gracefulStop({
    request: stopped.reason as StopRequest, // the owner of `stop` sets this type of reason
    graceMs: exceptions.stop.aborted ? Math.min(graceMs, EXCEPTION_GRACE_MS) : graceMs,
    force: AbortSignal.any([force, exceptions.force]),
    logger,
    drain: () => server.drain(),
    kill: () => server[Symbol.asyncDispose](),
  });
  removePidFile();
  if (failure !== undefined) logger.error({ error: failure }, 'unclean Gitaly shutdown');
  logger.info('Gitaly shutdown');
  return failure === undefined && !exceptions.stop.aborted ? 0 : 1;
}
