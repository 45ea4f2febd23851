import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, type DialOptions, dialSidechannel, SidechannelRegistry } from '#client/index';
import type { LogLevel } from '#platform/log/logger';
import { praefectConfigFrom } from '#praefect/config/load-praefect-config';
import { PraefectServer } from '#praefect/praefect-server';
import { Faults } from './faults/faults.ts';
import { lineLogger } from './line-logger.ts';
import { makeScratchDirectory } from './scratch-directory.ts';
import type { TestDatabase } from './servers/start-postgres.ts';
import { type StartGitalyOptions, startGitaly, type TestGitaly } from './start-gitaly.ts';

const IN_MEMORY = {
  memory_queue_enabled: true,
  i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
  failover: { election_strategy: 'local', bootstrap_interval: '1ms', monitor_interval: '50ms' },
};

export interface StartClusterOptions {
  /** Number of Gitalys; default 3. Their storages are `gitaly-1`, `gitaly-2` … */
  readonly nodes?: number;
  /** Additional keys of Praefect's configuration file. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Additional keys of each Gitaly's configuration file. */
  readonly gitalyConfig?: StartGitalyOptions['config'];
  /** Other options of each Gitaly. With `tls`, Praefect reaches them over TLS. */
  readonly gitaly?: Omit<StartGitalyOptions, 'storages' | 'config'>;
  /** Level of Praefect's log; default `info`. */
  readonly logLevel?: LogLevel;
  readonly dial?: DialOptions;
  /** Database for the state of the cluster, whose strategy is then `per_repository`. */
  readonly database?: TestDatabase;
  /** Nodes that receive a new repository; default all. */
  readonly replicationFactor?: number;
  /** Number of Praefects that share the database; default 1. */
  readonly praefects?: number;
}

/** One Praefect of a cluster. */
export interface TestPraefect {
  /** `unix:<path>` */
  readonly address: string;
  readonly connection: Connection;
  readonly sidechannels: SidechannelRegistry;
  readonly server: PraefectServer;
  /** Decoded JSON lines of its log. */
  readonly log: readonly Record<string, unknown>[];
  readonly faults: Faults;
}

/**
 * Praefects in front of real Gitalys, as the virtual storage `default`: one that keeps its state in
 * memory, or several with a database. Disposing stops all.
 */
export interface TestCluster extends AsyncDisposable, TestPraefect {
  /** Directory of the Praefects' sockets. */
  readonly directory: string;
  /** All of them; the cluster's own properties are those of the first. */
  readonly praefects: readonly TestPraefect[];
  readonly nodes: readonly TestGitaly[];
  /** Stops a node, which counts from 1, and removes it with its repositories. */
  stopNode(node: number): Promise<void>;
  /** Directory of a repository on a node. */
  repositoryPath(node: number, relativePath: string): string;
}

/** Starts a cluster in this process. */
export async function startCluster(options: StartClusterOptions = {}): Promise<TestCluster> {
  await using building = new AsyncDisposableStack();
  const directory = makeScratchDirectory('cluster');
  building.defer(() => rmSync(directory, { recursive: true, force: true }));
  const nodes: TestGitaly[] = [];
  const stopped = new Set<TestGitaly>();
  const stop = async (node: TestGitaly | undefined): Promise<void> => {
    if (node === undefined || stopped.has(node)) return;
    stopped.add(node);
    await node[Symbol.asyncDispose]();
  };
  for (let number = 1; number <= (options.nodes ?? 3); number++) {
    const name = `gitaly-${number}`;
    const node = await startGitaly({
      ...options.gitaly,
      storages: [name],
      config: options.gitalyConfig ?? {},
    });
    nodes.push(node);
    // Each by itself: a node whose stop fails must not keep the others running.
    building.defer(() => stop(node));
  }
  const praefects: TestPraefect[] = [];
  for (let number = 1; number <= (options.praefects ?? 1); number++)
    praefects.push(
      await startPraefect(join(directory, `praefect-${number}.socket`), nodes, options, building),
    );
  const [first] = praefects;
  if (first === undefined) throw new Error('a cluster needs a Praefect');
  const resources = building.move();
  return {
    ...first,
    directory,
    praefects,
    nodes,
    stopNode: (node) => stop(nodes[node - 1]),
    repositoryPath: (node, relativePath) =>
      join(nodes[node - 1]?.storagePath(`gitaly-${node}`) ?? '', relativePath),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function startPraefect(
  socketPath: string,
  nodes: readonly TestGitaly[],
  { config, database, dial, logLevel, replicationFactor = 0 }: StartClusterOptions,
  building: AsyncDisposableStack,
): Promise<TestPraefect> {
  const { lines: log, logger } = lineLogger(logLevel);
  const faults = new Faults();
  const server = building.use(
    await PraefectServer.start({
      faults: faults.injector,
      config: praefectConfigFrom({
        socket_path: socketPath,
        ...(database === undefined ? IN_MEMORY : { database: database.config }),
        virtual_storage: [
          {
            name: 'default',
            default_replication_factor: BigInt(replicationFactor),
            node: nodes.map(({ address, addresses }, index) => ({
              storage: `gitaly-${index + 1}`,
              address: addresses.tls ?? address,
            })),
          },
        ],
        ...config,
      }).config,
      logger,
    }),
  );
  const [address = ''] = server.addresses;
  const sidechannels = new SidechannelRegistry();
  const connection = building.use(await dialSidechannel(address, sidechannels, dial));
  return { address, connection, sidechannels, server, log, faults };
}
