import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { dial } from '#client/index';
import { createLogger } from '#platform/log/logger';
import { praefectConfigFrom } from '#praefect/config/load-praefect-config';
import { PraefectServer, type PraefectServerOptions } from '#praefect/praefect-server';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { servedRepositories } from '#testkit/servers/served-repositories';
import { type StartGitalyOptions, startGitaly as startNode, type TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';
import { aroundCalls, type BeginCall } from './around-calls.ts';
import { createDatabase } from './contract-database.ts';
import { mirror } from './mirror.ts';
import { ReplicationWatch } from './replication-watch.ts';
import { startWithWorkers } from './start-with-workers.ts';
import { TrackedRepositories } from './tracked-repositories.ts';

export type { StartGitalyOptions, TestGitaly } from '#testkit/start-gitaly';

const NODES = 3;
/** `host user` of a PostgreSQL for the state of the clusters. Without it the state is in memory. */
const { CONTRACT_DATABASE: SERVER = '' } = process.env;
/** Praefect has further processes, which serve all connections. */
const WITH_WORKERS = process.env.CONTRACT_WORKERS !== undefined;
const IN_MEMORY = {
  memory_queue_enabled: true,
  i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
  // No node fails in these tests: one that is slow on a busy machine stays healthy.
  failover: { election_strategy: 'local', bootstrap_interval: '1ms', monitor_interval: '24h' },
};
const IN_DATABASE = {
  reconciliation: { scheduling_interval: '0s' },
  background_verification: { verification_interval: '0s' },
};
const STARTS = 20;
/** When the primary has failed, the other nodes come to their end so soon after the call's. */
const QUIET_MS = 1000;
/** In the names of directories in whose place a replication put a repository. */
const MOVED_AWAY = '-repositories.old.';
/** Directories of backups in the configurations of tests: all nodes have the same. */
const BACKUPS = ['bk', 'backups'];
/** Entries of a storage that belong to its server. */
const OWN = new Set(['+gitaly', '.gitaly-metadata']);

/**
 * Takes the place of the testkit's `startGitaly` for the tests of a single server: three Gitalys
 * behind a Praefect. Each storage is a virtual storage.
 *
 * These tests work on the files of the first node, and a call ends when its replication jobs are
 * done. With the state in memory, the other nodes get the same files before each call. With a
 * database, see {@link TrackedRepositories}.
 */
export async function startGitaly(options: StartGitalyOptions = {}): Promise<TestGitaly> {
  await using building = new AsyncDisposableStack();
  const storages = options.storages ?? ['default'];
  const sockets = makeScratchDirectory('contract');
  building.defer(() => rmSync(sockets, { recursive: true, force: true }));
  const nodes: TestGitaly[] = [];
  for (let number = 1; number <= NODES; number++)
    nodes.push(building.use(await startNode(optionsOfNode(options, storages, number))));
  const [first, ...others] = nodes;
  if (first === undefined) throw new Error('no node');
  for (const name of BACKUPS) {
    mkdirSync(join(first.directory, name), { recursive: true });
    for (const { directory } of others) {
      rmSync(join(directory, name), { recursive: true, force: true }); // of a node that made its own
      symlinkSync(join(first.directory, name), join(directory, name));
    }
  }
  const directories = [...storages, 'custom_hooks'];
  const watch = new ReplicationWatch();
  const state = SERVER === '' ? undefined : building.use(await createDatabase(SERVER));
  const { config } = praefectConfigFrom({
    socket_path: join(sockets, 'praefect.socket'),
    ...(state === undefined ? IN_MEMORY : { ...IN_DATABASE, database: state.config }),
    ...(options.token !== undefined && { auth: { token: options.token } }),
    virtual_storage: storages.map((name) => ({
      name,
      node: nodes.map(({ address }, index) => ({
        storage: nameOn(index + 1, name),
        address,
        ...(options.token !== undefined && { token: options.token }),
      })),
    })),
  });
  const files: Files =
    state === undefined
      ? {
          beforeCall: async () => makeEqual(nodes, directories),
          afterCall: async () => {},
        }
      : building.use(await TrackedRepositories.start(state.database, config, nodes));
  const begin = betweenCalls(nodes, directories, { files, watch });
  const praefect = building.use(
    WITH_WORKERS
      ? await startWithWorkers(config, { begin, watch })
      : await startHealthy(watch, { config, faults: aroundCalls(begin) }),
  );
  const [address = ''] = praefect.addresses;
  const connection = building.use(
    await dial(address, { ...(options.token !== undefined && { token: options.token }), ...options.dial }),
  );
  // The last call may be followed by a test's own clean-up.
  if (state === undefined) building.defer(() => makeEqual(nodes, directories));
  const resources = building.move();
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= resources.disposeAsync();
    return closed;
  };
  return {
    ...first,
    address,
    connection,
    nodes,
    ...servedRepositories(connection, ({ storageName, relativePath }) => [
      join(first.storagePath(storageName), relativePath),
    ]),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Starts a Praefect that finds all nodes healthy: on a busy machine one may be too slow. */
async function startHealthy(
  watch: ReplicationWatch,
  options: Omit<PraefectServerOptions, 'logger'>,
): Promise<PraefectServer> {
  for (let count = 1; ; count++) {
    let areHealthy = true;
    const praefect = await PraefectServer.start({
      ...options,
      logger: createLogger({
        format: 'json',
        level: 'info',
        stream: {
          write: (text) => {
            // The logger writes JSON objects, one per line.
            const line = JSON.parse(text) as Record<string, unknown>;
            if (line.msg === 'error when pinging healthcheck') areHealthy = false;
            watch.line(line);
          },
        },
      }),
    });
    if (areHealthy) return praefect;
    await praefect[Symbol.asyncDispose]();
    if (count === STARTS) throw new Error('the nodes are not healthy');
  }
}

/** Returns the name of a storage on a node, which counts from 1. */
function nameOn(number: number, storage: string): string {
  return number === 1 ? storage : `${storage}-${number}`;
}

function optionsOfNode(
  { config, dial: _, tcp, tls, ...options }: StartGitalyOptions,
  storages: readonly string[],
  number: number,
): StartGitalyOptions {
  return {
    ...options,
    // On all nodes the directories have the same names, as the tests work with them.
    storages,
    ...(number === 1 && { ...(tcp !== undefined && { tcp }), ...(tls !== undefined && { tls }) }),
    config: (directory) => ({
      storage: storages.map((name) => ({ name: nameOn(number, name), path: join(directory, name) })),
      ...(typeof config === 'function' ? config(directory) : config),
    }),
  };
}

/** Work on the nodes' files while no call runs. */
interface Files {
  beforeCall(): Promise<void>;
  afterCall(): Promise<void>;
}

/**
 * Prepares the nodes before a call, when no other runs. A call of a test ends after those that
 * nodes have made for it, and when nodes that were stopped have cleaned up.
 */
function betweenCalls(
  nodes: readonly TestGitaly[],
  directories: readonly string[],
  { files, watch }: { readonly files: Files; readonly watch: ReplicationWatch },
): BeginCall {
  const running = new Set<number>();
  let started = 0;
  let prepared = Promise.resolve();
  return async () => {
    const number = ++started;
    if (running.size === 0) prepared = prepared.catch(() => {}).then(() => files.beforeCall());
    running.add(number);
    await prepared;
    const isQuiet = (): boolean =>
      [...running].every((other) => other <= number) &&
      nodes.every(({ directory }) =>
        directories.every((name) => temporary(join(directory, name), 'quarantine-').length === 0),
      );
    return async () => {
      try {
        await watch.settled();
        // A test's own later call may run on.
        await until(isQuiet, 'no later call runs', QUIET_MS).catch(() => {});
        if (running.size === 1) await files.afterCall();
      } finally {
        running.delete(number);
      }
    };
  };
}

function makeEqual([first, ...others]: readonly TestGitaly[], directories: readonly string[]): void {
  const source = first?.directory ?? '';
  for (const { directory } of others)
    for (const name of directories) {
      mirror(join(source, name), join(directory, name), (entry) => OWN.has(entry));
      // A test has removed what its server had moved away.
      if (temporary(join(source, name), MOVED_AWAY).length === 0)
        for (const path of temporary(join(directory, name), MOVED_AWAY)) rmSync(path, { recursive: true });
    }
}

/** Returns the temporary directories of a storage whose names contain something. */
function temporary(storage: string, part: string): string[] {
  const temp = join(storage, '+gitaly/tmp');
  if (!existsSync(temp)) return [];
  const names = readdirSync(temp).filter((name) => name.includes(part));
  return names.map((name) => join(temp, name));
}
