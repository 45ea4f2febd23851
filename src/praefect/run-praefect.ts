import type { Logger } from '#platform/log/logger';
import { type ProcessLife, serveUntilStopped } from '#platform/process/serve-until-stopped';
import { packageVersion } from '#platform/process/version';
import type { PraefectConfig } from './config/schema.ts';
import { startProcesses } from './start-processes.ts';

export interface RunPraefectOptions {
  readonly logger: Logger;
  readonly life: ProcessLife;
}

/**
 * Runs a Praefect until a signal stops it or a successor has taken over.
 *
 * @returns the exit code: 0 after a clean stop, 1 when running calls had to be aborted.
 * @throws {Error} when it cannot be started.
 */
export async function runPraefect(
  config: PraefectConfig,
  { logger, life }: RunPraefectOptions,
): Promise<number> {
  logger.info({ version: packageVersion() }, 'Starting Praefect');
  const server = await startProcesses({
    config,
    logger,
    takeSocket: life.inherited.take,
    signal: life.signals.stop,
    log: life.log,
  });
  logger.info('Started Praefect');
  return await serveUntilStopped(server, {
    name: 'Praefect',
    logger,
    life,
    graceMs: config.gracefulStopTimeoutMs,
  });
}
