import type { GitalyConfig } from '#platform/config/load-config';
import type { FdLogStream } from '#platform/log/log-stream';
import type { Logger } from '#platform/log/logger';
import type { TakeSocket } from '#platform/process/handover/listening-socket';
import { pack } from '#workers/pack-values';
import { allowedProcesses, startFamily, type WorkerProgram } from '#workers/start-family';
import { GitalyServer } from '../gitaly-server.ts';
import type { Greeting } from './greeting.ts';

export interface StartProcessesOptions {
  readonly logger: Logger;
  readonly takeSocket: TakeSocket;
  /** @see GitalyServerOptions */
  readonly predecessorEnded?: Promise<void> | undefined;
  readonly copiesPrograms: boolean;
  readonly keepsHistory?: boolean;
  /** File descriptor of the log, which workers also write to. */
  readonly log: Pick<FdLogStream, 'hasWorkers'>;
  /** Default: this program, with the options of Node that it was started with. */
  readonly program?: WorkerProgram;
}

/**
 * Starts the server of this process. With `[workers] max` above 1, it starts further processes
 * while it is busy.
 *
 * @throws {Error} as {@link GitalyServer.start}.
 */
export async function startProcesses(
  config: GitalyConfig,
  { log, logger, program, ...options }: StartProcessesOptions,
): Promise<GitalyServer> {
  const processes = allowedProcesses(config.workers.max, { logger });
  if (processes === 1) return await GitalyServer.start({ config, logger, ...options });
  const { keepsHistory = false } = options;
  const greeting = (worker: number) => pack({ config, keepsHistory, worker } satisfies Greeting);
  const family = startFamily({ processes, logger, log, program, greeting });
  return await GitalyServer.start({ config, logger, ...options }, family);
}
