import type { Socket } from 'node:net';
import { loadLazyModules } from '#base/lazy-module';
import { FdLogStream } from '#platform/log/log-stream';
import { createLogger, type Logger, logLevel } from '#platform/log/logger';
import { nonBlocking } from '#platform/log/non-blocking';
import { packageVersion } from '#platform/process/version';
import { EXCEPTION_GRACE_MS, watchExceptions } from '#platform/process/watch-exceptions';
import type { Working } from './family.ts';
import type { FamilyServer } from './family-server.ts';
import type { Link } from './link.ts';
import { reportLastMetrics, reportToSupervisor } from './monitoring.ts';
import { unpack } from './pack-values.ts';
import { answer } from './protocol.ts';
import { workerSettings } from './settings.ts';
import { runWorkerLife, type WorkerServer } from './worker-life.ts';
import { FAMILY_SIZE, type WorkerTransport } from './worker-protocol.ts';

const IS_BUILT = import.meta.filename.endsWith('.js');
/** Exit code for wrong usage. */
const WRONG_USAGE = 2;

/** The part of the first message to a worker that is the same for all programs. */
export interface WorkerGreeting {
  readonly config: { readonly logging: { readonly format: string; readonly level: string } };
  /** Number of the worker, from 1. */
  readonly worker: number;
}

export interface ServerInWorker extends AsyncDisposable {
  drain(): Promise<void>;
  /** Deals with an exception that nothing caught, if it can. */
  contain?(exception: unknown): boolean;
  /** Serve connections that are not for gRPC. */
  readonly gateways?: ReadonlyMap<WorkerTransport, GatewayInWorker>;
}

export interface GatewayInWorker {
  /** Serves a connection that the supervisor has accepted. */
  receive(socket: Socket): void;
  /** Number of open connections. */
  readonly connections: number;
}

/** How the worker of a program starts. */
export interface WorkerProgramOptions<Greeting extends WorkerGreeting> {
  readonly title: string;
  /** Command that starts the server with workers. */
  readonly server: string;
  /** Descriptor of the log. Default: standard output. */
  readonly log?: number;
  readonly start: (greeting: Greeting, family: Working, logger: Logger) => Promise<ServerInWorker>;
}

/** Runs a worker process of a server, until its supervisor ends it. Resolves to the exit code. */
export async function runWorker<Greeting extends WorkerGreeting>({
  title,
  server: command,
  log = process.stdout.fd,
  start,
}: WorkerProgramOptions<Greeting>): Promise<number> {
  process.title = title;
  if (process.send === undefined) {
    process.stderr.write(`${title} worker is started by "${command}"\n`);
    return WRONG_USAGE;
  }
  // Signals to the whole process group are the supervisor's, which then ends its workers.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => {});
  let server: ServerInWorker | undefined;
  const stream = new FdLogStream(nonBlocking(log), { format: 'text' });
  stream.hasWorkers = true;
  // After the end of its supervisor, a worker exits before all of its calls have ended.
  process.once('exit', () => stream.endNow());
  using exceptions = watchExceptions({ contain: (exception) => server?.contain?.(exception) ?? false });
  const code = await runWorkerLife({
    name: title,
    tickMs: workerSettings().tickMs,
    failed: exceptions.stop,
    failedGraceMs: EXCEPTION_GRACE_MS,
    start: async (packed, link) => {
      const greeting = unpack(packed) as Greeting; // from our supervisor
      const { family, part } = familyOf(link, greeting.worker);
      server = await start(greeting, family, loggerOf(greeting, stream));
      if (IS_BUILT) await loadLazyModules();
      return workerServer(server, await part, link);
    },
  });
  await stream.end();
  return code;
}

function loggerOf({ config, worker }: WorkerGreeting, stream: FdLogStream): Logger {
  const { format, level } = config.logging;
  return createLogger({
    format: format === 'json' ? 'json' : 'text',
    level: logLevel(level),
    stream,
    fields: { worker },
  });
}

function familyOf(
  link: Link,
  number: number,
): { readonly family: Working; readonly part: Promise<FamilyServer> } {
  const { promise: part, resolve: onStarted } = Promise.withResolvers<FamilyServer>();
  let processes = 2; // until the supervisor has sent the number
  const size = (value: number): void => {
    processes = value;
  };
  answer(link, FAMILY_SIZE, { size });
  const none = async (): Promise<void> => {};
  const family: Working = {
    role: 'worker',
    share: () => 1 / processes,
    link,
    sharing: { role: 'worker' },
    number,
    onStarted,
    drainOthers: none,
    endOthers: none,
  };
  return { family, part };
}

function workerServer(
  server: ServerInWorker,
  { directory, front, onOtherEnded, registry }: FamilyServer,
  link: Link,
): WorkerServer {
  reportToSupervisor(link, registry);
  const { gateways = new Map<WorkerTransport, GatewayInWorker>() } = server;
  return {
    receive: (socket, transport) => {
      const gateway = gateways.get(transport);
      if (gateway === undefined) front.receive(socket, transport);
      else gateway.receive(socket);
    },
    moveConnection: (which) => front.moveConnection(which),
    get load() {
      const { calls, connections } = front.load;
      return {
        calls,
        connections: [...gateways.values()].reduce((sum, one) => sum + one.connections, connections),
      };
    },
    readiness: { version: packageVersion(), directory },
    beforeEnd: () => reportLastMetrics(link, registry),
    onSupervisorEnded: (pid) => onOtherEnded(pid),
    drain: () => server.drain(),
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}
