import { resolve } from 'node:path';
import { freePort } from '#base/network/listening-port';
import { statusData } from '#cli/cluster/render-status';
import { statusOfConfig } from '#cli/cluster/run-cluster-status';
import { hasEndedBy } from '#tools/test-env/server-socket';
import { type UpDirectory, WrongDirectoryError } from '../up-directory.ts';
import type { UpEvents } from '../up-events.ts';
import type { UpGrpc } from '../up-grpc.ts';
import type { UpLfs } from '../up-lfs.ts';
import type { UpServer } from '../up-server.ts';
import { clusterCalls } from './cluster-calls.ts';
import { migrate, requirePostgres, startPostgresProcess } from './cluster-database.ts';
import {
  type ClusterFiles,
  clusterFiles,
  type NodeFiles,
  VIRTUAL_STORAGE,
  writeNodeFiles,
  writePraefectConfig,
} from './cluster-files.ts';
import type { DatabaseKeys } from './database-url.ts';
import { limitLogs } from './limit-logs.ts';
import { ProcessGuard } from './process-guard.ts';
import { startServerProcess } from './running-process.ts';
import { type StartProcess, SupervisedProcess } from './supervised-process.ts';

export interface UpClusterOptions {
  readonly nodes: number;
  /** Keys of a given database; `undefined` for a PostgreSQL in the directory. */
  readonly database: DatabaseKeys | undefined;
  readonly grpc: UpGrpc;
  /** The change feed and its webhooks, if there is one. */
  readonly events: UpEvents | undefined;
  /** The files of Git LFS, for the nodes. */
  readonly lfs: UpLfs | undefined;
  /** `HOST:PORT` of praefect's listener for monitoring. */
  readonly metrics: string | undefined;
  /** A console shows the calls of the processes. */
  readonly hasConsole: boolean;
  /** Aborts the start. */
  readonly signal: AbortSignal;
  /** Kills what still runs. */
  readonly force: AbortSignal;
}

/** Time that the servers of a run that was killed have to end. */
const EARLIER_LIMIT_MS = 15_000;

/**
 * Starts the cluster of a directory: PostgreSQL, the gitalys and a praefect, each as a separate
 * process that is started again whenever it ends. Disposing stops them in an order in which none
 * misses another.
 *
 * @throws {Error} that names the program that does not start; {WrongDirectoryError}
 */
export async function startUpCluster(directory: UpDirectory, options: UpClusterOptions): Promise<UpServer> {
  const { events, grpc, hasConsole: isOperated, lfs, metrics } = options;
  if (options.database === undefined) requirePostgres();
  const files = filesFor(await clusterFiles(directory, options.nodes), grpc);
  await earlierOnesEnded(files);
  await writeNodeFiles(directory, files, { hasEvents: events !== undefined, lfs });

  await using building = new AsyncDisposableStack();
  const guard = building.use(new ProcessGuard());
  building.use(limitLogs([...files.nodes, files.praefect].map(({ log }) => log)));
  const { force, signal } = options;
  const supervise = async (name: string, start: StartProcess, guardSignal: 'INT' | 'KILL' = 'KILL') =>
    await SupervisedProcess.start({ name, start, guard, guardSignal, signal, force, onNote });

  let database = options.database ?? {};
  const startNode = async ({ config, log, name, socket }: NodeFiles): Promise<SupervisedProcess> => {
    const server = { program: 'gitaly', args: ['serve', config], socket, log, isOperated } as const;
    return await supervise(name, (...more) => startServerProcess(server, ...more));
  };
  const startDatabase: StartProcess = async (...more) => {
    const server = await startPostgresProcess(files.postgres, ...more);
    database = server.keys;
    return server;
  };
  const started = await startAll([
    ...files.nodes.map(startNode),
    ...(options.database === undefined ? [supervise('PostgreSQL', startDatabase, 'INT')] : []),
  ]);
  const nodes = started.slice(0, files.nodes.length);
  const [postgres] = started.slice(files.nodes.length);
  if (postgres !== undefined) building.use(postgres);
  building.defer(() => disposeAll(nodes));
  const listen = await withPort(grpc.listen);
  await writePraefectConfig(files, { database, listen, events, metrics, token: grpc.token });
  await migrate(files.praefect.config);
  const args = ['--config', files.praefect.config];
  const server = { ...files.praefect, program: 'praefect', args, isOperated } as const;
  const praefect = building.use(
    await supervise('praefect', (...more) => startServerProcess(server, ...more)),
  );

  const running = building.move();
  return {
    ...description(files, { listen, token: grpc.token }),
    ...(metrics !== undefined && { metrics: `http://${metrics}` }),
    cluster: processesOf(files, { praefect, postgres, nodes }),
    console: {
      cluster: async () => statusData(await statusOfConfig(files.praefect.config)),
      ...(isOperated && clusterCalls(praefect, nodesByName(files, nodes))),
    },
    contain: () => false,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

interface ClusterProcesses {
  readonly praefect: SupervisedProcess;
  readonly postgres: SupervisedProcess | undefined;
  /** In the order of the files. */
  readonly nodes: readonly SupervisedProcess[];
}

function processesOf(
  files: ClusterFiles,
  { nodes, postgres, praefect }: ClusterProcesses,
): NonNullable<UpServer['cluster']> {
  return {
    config: files.praefect.config,
    praefect: praefect.pid,
    postgres: postgres?.pid,
    nodes: files.nodes.map(({ name, socket, storage }, index) => ({
      name,
      address: `unix:${socket}`,
      path: storage,
      pid: nodes[index]?.pid,
    })),
  };
}

function nodesByName(
  files: ClusterFiles,
  nodes: readonly SupervisedProcess[],
): ReadonlyMap<string, SupervisedProcess> {
  return new Map(nodes.map((node, index) => [files.nodes[index]?.name ?? '', node]));
}

/** Returns how clients reach the cluster. */
function description(
  { praefect }: ClusterFiles,
  { listen, token }: Pick<UpGrpc, 'listen' | 'token'>,
): Pick<UpServer, 'target' | 'grpc' | 'storages'> {
  const address = `unix:${praefect.socket}`;
  return {
    target: { address, storage: VIRTUAL_STORAGE, ...(token !== undefined && { token: token.reveal() }) },
    grpc: [...('listen_addr' in listen ? [`tcp://${listen.listen_addr}`] : []), address],
    storages: [{ name: VIRTUAL_STORAGE }],
  };
}

/** With `--grpc unix:PATH` Praefect listens there. */
function filesFor(files: ClusterFiles, { listen }: UpGrpc): ClusterFiles {
  if (!('socket_path' in listen)) return files;
  return { ...files, praefect: { ...files.praefect, socket: resolve(listen.socket_path) } };
}

/** Chooses a port for port 0: Praefect does not report which one it chose. */
async function withPort(listen: UpGrpc['listen']): Promise<UpGrpc['listen']> {
  if (!('listen_addr' in listen) || !listen.listen_addr.endsWith(':0')) return listen;
  return { listen_addr: listen.listen_addr.replace(/:0$/, `:${await freePort()}`) };
}

/** Waits for the servers of a run that was killed: its guard ends them. */
async function earlierOnesEnded({ nodes, praefect }: ClusterFiles): Promise<void> {
  const deadlineMs = performance.now() + EARLIER_LIMIT_MS;
  for (const socket of [praefect.socket, ...nodes.map((node) => node.socket)])
    if (!(await hasEndedBy(deadlineMs, socket)))
      throw new WrongDirectoryError(`a server of an earlier start still listens on ${socket}: stop it first`);
}

/** Resolves when all have started. If one does not, the others are stopped. */
async function startAll(
  starts: readonly Promise<SupervisedProcess>[],
): Promise<readonly SupervisedProcess[]> {
  const results = await Promise.allSettled(starts);
  const started = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  const failed = results.find((each) => each.status === 'rejected');
  if (failed === undefined) return started;
  await disposeAll(started);
  throw failed.reason;
}

async function disposeAll(processes: readonly SupervisedProcess[]): Promise<void> {
  await Promise.all(processes.map((each) => each[Symbol.asyncDispose]()));
}

function onNote(text: string): void {
  process.stderr.write(`gitaly-ts: ${text}\n`);
}
