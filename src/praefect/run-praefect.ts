import type { Logger } from '#platform/log/logger';
import { type ProcessLife, serveUntilStopped } from '#platform/process/serve-until-stopped';
import { packageVersion } from '#platform/process/version';
import { withCompanion } from '#platform/process/with-companion';
import { firstProcessLogger } from '#workers/start-family';
import type { PraefectConfig } from './config/schema.ts';
import type { PraefectServer } from './praefect-server.ts';
import { startProcesses } from './start-processes.ts';

export interface RunPraefectOptions {
  readonly logger: Logger;
  readonly life: ProcessLife;
  /** Opens what shows the cluster to people, and ends before the server. */
  readonly openConsole?: ((server: PraefectServer) => Promise<AsyncDisposable>) | undefined;
}

/**
 * Runs a Praefect until a signal stops it or a successor has taken over.
 *
 * @returns the exit code: 0 after a clean stop, 1 when running calls had to be aborted.
 * @throws {Error} when it cannot be started.
 */
export async function runPraefect(
  config: PraefectConfig,
  { life, openConsole, ...options }: RunPraefectOptions,
): Promise<number> {
  const logger = firstProcessLogger(options.logger, config.workers.max);
  logger.info({ version: packageVersion() }, 'Starting Praefect');
  const server = await startProcesses({
    config,
    logger,
    takeSocket: life.inherited.take,
    signal: life.signals.stop,
    log: life.log,
    keepsHistory: openConsole !== undefined,
  });
  logger.info('Started Praefect');
  const served = openConsole === undefined ? server : await withCompanion(server, openConsole);
  return await serveUntilStopped(served, {
    name: 'Praefect',
    logger,
    life,
    graceMs: config.gracefulStopTimeoutMs,
  });
}
