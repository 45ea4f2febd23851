import type { GitalyConfig } from '#platform/config/load-config';
import type { FdLogStream } from '#platform/log/log-stream';
import type { Logger } from '#platform/log/logger';
import { type WorkerMetrics, workerMetrics } from '#platform/metrics/worker-metrics';
import type { TakeSocket } from '#platform/process/handover/listening-socket';
import { Desk } from '#workers/desk';
import { pack } from '#workers/pack-values';
import { maxProcesses, workerSettings } from '#workers/settings';
import { Supervisor } from '#workers/supervisor';
import type { WorkerCommand } from '#workers/worker-process';
import { GitalyServer } from '../gitaly-server.ts';
import type { Supervising } from './family.ts';
import type { Greeting } from './greeting.ts';
import { WorkersMonitoring } from './monitoring.ts';
import { oneProcessReason } from './one-process-reason.ts';
import { PROCESSES, WORKER_COMMAND } from './worker-command.ts';

export interface StartProcessesOptions {
  readonly logger: Logger;
  readonly takeSocket: TakeSocket;
  readonly copiesPrograms: boolean;
  readonly keepsHistory?: boolean;
  /** The descriptor of the log, to which workers write, too. */
  readonly log: Pick<FdLogStream, 'hasWorkers'>;
  /** Default: this program, with the options of Node that it was started with. */
  readonly program?: Pick<WorkerCommand, 'file' | 'options'>;
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
  const processes = allowedProcesses(config, logger);
  if (processes === 1) return await GitalyServer.start({ config, logger, ...options });
  const desk = new Desk();
  const supervisor = new Supervisor({
    settings: workerSettings(),
    maxProcesses: processes,
    command: { ...(program ?? ownProgram()), args: [WORKER_COMMAND] },
    greeting: (worker) => pack({ config, worker } satisfies Greeting),
    logger,
  });
  const monitoring = new WorkersMonitoring(desk, () => supervisor.workers);
  const family: Supervising = {
    role: 'supervisor',
    share: () => 1 / (supervisor.workers.length + 1),
    desk,
    monitoring,
    workers: () => supervisor.workers,
    sharing: {
      role: 'supervisor',
      handOver: (socket, transport, takeBack) => supervisor.handOver(socket, transport, takeBack),
    },
    onStarted: ({ cleanAfterTheDead, front, registry }) =>
      supervisor.start({
        observer: withCount(workerMetrics(registry), supervisor),
        serve: (worker, link) => {
          log.hasWorkers = true;
          desk.serve(worker, link);
        },
        moveConnection: () => front.moveConnection(),
        onWorkerEnded: (worker) => {
          monitoring.ended(worker);
          cleanAfterTheDead();
        },
      }),
    drainOthers: () => supervisor.drain(),
    endOthers: () => supervisor[Symbol.asyncDispose](),
  };
  return await GitalyServer.start({ config, logger: logger.child({ worker: 0 }), ...options }, family);
}

/** Also notifies workers of the number of processes. */
function withCount(metrics: WorkerMetrics, supervisor: Supervisor): WorkerMetrics {
  return {
    ...metrics,
    running: (processes) => {
      metrics.running(processes);
      for (const { link } of supervisor.workers) link.tell(PROCESSES, processes);
    },
  };
}

function ownProgram(): Pick<WorkerCommand, 'file' | 'options'> {
  const [, file = ''] = process.argv;
  return { file, options: process.execArgv.filter((option) => !option.startsWith('--inspect')) };
}

/** Returns the most processes that may serve calls, and logs why there is only one. */
function allowedProcesses(config: GitalyConfig, logger: Logger): number {
  const processes = maxProcesses(config.workers.max);
  if (processes === 1) return 1;
  const reason = oneProcessReason(config);
  if (reason === undefined) return processes;
  logger.warn({ key: 'workers.max', reason }, 'the server runs in one process');
  return 1;
}
