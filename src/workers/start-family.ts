import type { FdLogStream } from '#platform/log/log-stream';
import type { Logger } from '#platform/log/logger';
import { type WorkerMetrics, workerMetrics } from '#platform/metrics/worker-metrics';
import { Desk } from './desk.ts';
import type { Supervising } from './family.ts';
import { WorkersMonitoring } from './monitoring.ts';
import { remote } from './protocol.ts';
import { maxProcesses, workerSettings } from './settings.ts';
import { Supervisor } from './supervisor.ts';
import { WORKER_COMMAND } from './worker-command.ts';
import type { WorkerCommand } from './worker-process.ts';
import { FAMILY_SIZE } from './worker-protocol.ts';

export type WorkerProgram = Pick<WorkerCommand, 'file' | 'options'>;

export interface StartFamilyOptions {
  /** Most processes that serve calls; 2 or more. */
  readonly processes: number;
  readonly logger: Logger;
  /** The descriptor of the log, to which workers write, too. */
  readonly log: Pick<FdLogStream, 'hasWorkers'>;
  /** Default: this program, with the options of Node that it was started with. */
  readonly program?: WorkerProgram | undefined;
  /** Returns what a new worker needs to start; see `pack`. */
  readonly greeting: (worker: number) => unknown;
}

/** Makes the supervisor of a server, which starts further processes while the server is busy. */
export function startFamily({ log, program, processes, ...options }: StartFamilyOptions): Supervising {
  const desk = new Desk();
  const supervisor = new Supervisor({
    ...options,
    settings: workerSettings(),
    maxProcesses: processes,
    command: { ...(program ?? ownProgram()), args: [WORKER_COMMAND] },
  });
  const monitoring = new WorkersMonitoring(desk, () => supervisor.workers);
  return {
    role: 'supervisor',
    share: () => 1 / (supervisor.workers.length + 1),
    desk,
    monitoring,
    workers: () => supervisor.workers,
    serving: () => supervisor.serving,
    sharing: {
      role: 'supervisor',
      handOver: (socket, transport, takeBack) => supervisor.handOver(socket, transport, { takeBack }),
    },
    follow: (socket, transport, follow) => supervisor.handOver(socket, transport, follow),
    onStarted: ({ directory, front, onOtherEnded, registry }) =>
      supervisor.start({
        directory,
        observer: withCount(workerMetrics(registry), supervisor),
        serve: (link) => {
          log.hasWorkers = true;
          desk.serve(link);
        },
        connections: () => front.load.connections,
        moveConnection: (which) => front.moveConnection(which),
        onWorkerEnded: (worker, pid) => {
          monitoring.ended(worker);
          void onOtherEnded(pid);
        },
      }),
    drainOthers: () => supervisor.drain(),
    endOthers: () => supervisor[Symbol.asyncDispose](),
  };
}

export interface AllowedProcessesOptions {
  readonly logger: Logger;
  /** Why this server cannot have several, if that is so. */
  readonly reason?: string | undefined;
  readonly platform?: NodeJS.Platform;
}

/**
 * Returns the most processes that may serve calls, and logs why there is only one.
 *
 * @param configured `[workers] max`.
 */
export function allowedProcesses(
  configured: number | 'auto',
  { logger, platform = process.platform, reason: given }: AllowedProcessesOptions,
): number {
  const processes = maxProcesses(configured);
  const reason = platform === 'win32' ? 'this system cannot pass open connections to other processes' : given;
  if (processes === 1 || reason === undefined) return processes;
  logger.warn({ key: 'workers.max', reason }, 'the server runs in one process');
  return 1;
}

/**
 * Returns the log of the first process. Its lines have the field `worker` if the server may have
 * further processes, so that each line of the shared log tells where it comes from.
 *
 * @param configured `[workers] max`.
 */
export function firstProcessLogger(logger: Logger, configured: number | 'auto'): Logger {
  return maxProcesses(configured) === 1 ? logger : logger.child({ worker: 0 });
}

/** Also notifies workers of the number of processes. */
function withCount(metrics: WorkerMetrics, supervisor: Supervisor): WorkerMetrics {
  return {
    ...metrics,
    running: (processes) => {
      metrics.running(processes);
      for (const { link } of supervisor.workers) remote(link, FAMILY_SIZE).size(processes);
    },
  };
}

function ownProgram(): WorkerProgram {
  const [, file = ''] = process.argv;
  return { file, options: process.execArgv.filter((option) => !option.startsWith('--inspect')) };
}
