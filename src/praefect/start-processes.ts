import type { FdLogStream } from '#platform/log/log-stream';
import { pack } from '#workers/pack-values';
import type { WorkerGreeting } from '#workers/run-worker';
import { allowedProcesses, startFamily } from '#workers/start-family';
import type { PraefectConfig } from './config/schema.ts';
import { strategyOf } from './config/strategy.ts';
import { PraefectServer, type PraefectServerOptions } from './praefect-server.ts';

/** The first message of a supervisor to a new worker. */
export interface Greeting extends WorkerGreeting {
  readonly config: PraefectConfig;
  readonly keepsHistory: boolean;
}

export interface StartProcessesOptions extends PraefectServerOptions {
  /** The descriptor of the log, to which workers write, too. */
  readonly log: Pick<FdLogStream, 'hasWorkers'>;
}

/**
 * Starts the Praefect of this process. With `[workers] max` above 1, it starts further processes
 * while it is busy.
 *
 * @throws {Error} as {@link PraefectServer.start}.
 */
export async function startProcesses({ log, ...options }: StartProcessesOptions): Promise<PraefectServer> {
  const { config, logger } = options;
  const { keepsHistory = config.console.listenAddr !== undefined } = options;
  const processes = allowedProcesses(config.workers.max, { logger, reason: oneProcessReason(config) });
  if (processes === 1) return await PraefectServer.start(options);
  const greeting = (worker: number) => pack({ config, keepsHistory, worker } satisfies Greeting);
  const family = startFamily({ processes, logger, log, greeting });
  return await PraefectServer.start(options, family);
}

/** Returns why a Praefect with this configuration cannot have several processes, if that is so. */
export function oneProcessReason(config: PraefectConfig): string | undefined {
  return strategyOf(config).isInMemory
    ? 'the state of the cluster is kept in memory; further processes need the database'
    : undefined;
}
