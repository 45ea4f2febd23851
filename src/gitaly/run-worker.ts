import { loadLazyModules } from '#base/lazy-module';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger, logLevel } from '#platform/log/logger';
import { packageVersion } from '#platform/process/version';
import { EXCEPTION_GRACE_MS, watchExceptions } from '#platform/process/watch-exceptions';
import type { Link } from '#workers/link';
import { unpack } from '#workers/pack-values';
import { workerSettings } from '#workers/settings';
import { runWorkerLife, type WorkerServer } from '#workers/worker-life';
import type { Greeting } from './family/greeting.ts';
import type { FamilyServer } from './family/members.ts';
import { reportLastMetrics, reportToSupervisor } from './family/monitoring.ts';
import { PROCESSES } from './family/worker-command.ts';
import { GitalyServer } from './gitaly-server.ts';

const IS_BUILT = import.meta.filename.endsWith('.js');
/** Exit code for wrong usage. */
const WRONG_USAGE = 2;

/** Runs a worker process of a server, until its supervisor ends it. Resolves to the exit code. */
export async function runWorker(): Promise<number> {
  process.title = 'gitaly';
  if (process.send === undefined) {
    process.stderr.write('gitaly worker is started by "gitaly serve" with [workers] max above 1\n');
    return WRONG_USAGE;
  }
  // Signals to the whole process group are the supervisor's, which then ends its workers.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  let server: GitalyServer | undefined;
  const stream = new FdLogStream(process.stdout.fd, { format: 'text' });
  stream.hasWorkers = true;
  using exceptions = watchExceptions({ contain: (exception) => server?.contain(exception) ?? false });
  const code = await runWorkerLife({
    tickMs: workerSettings().tickMs,
    failed: exceptions.stop,
    failedGraceMs: EXCEPTION_GRACE_MS,
    start: async (greeting, link) => {
      const started = await startServer(unpack(greeting) as Greeting, link, stream); // from our supervisor
      server = started.server;
      if (IS_BUILT) await loadLazyModules();
      return workerServer(started, link);
    },
  });
  await stream.end();
  return code;
}

/** A server, and what its supervisor uses of it. */
interface Started {
  readonly server: GitalyServer;
  readonly part: FamilyServer;
}

async function startServer({ config, worker }: Greeting, link: Link, stream: FdLogStream): Promise<Started> {
  const { format, level } = config.logging;
  const logger = createLogger({
    format: format === 'json' ? 'json' : 'text',
    level: logLevel(level),
    stream,
    fields: { worker },
  });
  const { promise: part, resolve: onStarted } = Promise.withResolvers<FamilyServer>();
  let processes = 2; // until the supervisor has sent the number
  link.onTold(PROCESSES, (value) => {
    processes = Number(value);
  });
  const none = async (): Promise<void> => {};
  const server = await GitalyServer.start(
    { config, logger, copiesPrograms: IS_BUILT },
    {
      role: 'worker',
      share: () => 1 / processes,
      link,
      sharing: { role: 'worker' },
      onStarted,
      drainOthers: none,
      endOthers: none,
    },
  );
  return { server, part: await part };
}

function workerServer({ server, part }: Started, link: Link): WorkerServer {
  const { directory, front, registry } = part;
  reportToSupervisor(link, part);
  return {
    receive: (socket, transport) => front.receive(socket, transport),
    moveConnection: () => front.moveConnection(),
    get load() {
      return front.load;
    },
    readiness: { version: packageVersion(), directory },
    beforeEnd: () => reportLastMetrics(link, registry),
    drain: () => server.drain(),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}
