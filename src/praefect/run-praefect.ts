import type { Logger } from '#platform/log/logger';
import { gracefulStop } from '#platform/process/graceful-stop';
import { writePidFile } from '#platform/process/pid-file';
import type { StopRequest } from '#platform/process/signals';
import { packageVersion } from '#platform/process/version';
import type { PraefectConfig } from './config/schema.ts';
import { PraefectServer } from './praefect-server.ts';

export interface RunPraefectOptions {
  readonly logger: Logger;
  /** Aborts when the server must stop; `reason` is a {@link StopRequest}. */
  readonly stop: AbortSignal;
  /** Aborts when the server must stop at once. */
  readonly force: AbortSignal;
}

/**
 * Runs a Praefect until `stop` aborts.
 *
 * @returns the exit code: 0 after a clean stop, 1 when running calls had to be aborted.
 * @throws {Error} when it cannot be started.
 */
export async function runPraefect(config: PraefectConfig, options: RunPraefectOptions): Promise<number> {
  const { logger, stop, force } = options;
  logger.info({ version: packageVersion() }, 'Starting Praefect');
  const server = await PraefectServer.start({ config, logger });
  const removePidFile = writePidFile();
  logger.info('Started Praefect');
  if (!stop.aborted) await new Promise((resolve) => stop.addEventListener('abort', resolve, { once: true }));
  const failure = await gracefulStop({
    request: stop.reason as StopRequest, // the owner of `stop` sets this type of reason
    graceMs: config.gracefulStopTimeoutMs,
    force,
    logger,
    drain: () => server.drain(),
    kill: () => server[Symbol.asyncDispose](),
  });
  removePidFile();
  if (failure !== undefined) logger.error({ error: failure }, 'unclean Praefect shutdown');
  logger.info('Praefect shutdown');
  return failure === undefined ? 0 : 1;
}
