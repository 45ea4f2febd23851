import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Connection, type DialOptions, dialSidechannel, SidechannelRegistry } from '#client/index';
import { createLogger } from '#platform/log/logger';
import { praefectConfigFrom } from '#praefect/config/load-praefect-config';
import { PraefectServer } from '#praefect/praefect-server';
import { startGitaly, type TestGitaly } from './start-gitaly.ts';

export interface StartClusterOptions {
  /** Number of Gitalys; default 3. Their storages are `gitaly-1`, `gitaly-2` … */
  readonly nodes?: number;
  /** Additional keys of Praefect's configuration file. */
  readonly config?: Readonly<Record<string, unknown>>;
  /** Additional keys of each Gitaly's configuration file. */
  readonly gitalyConfig?: Readonly<Record<string, unknown>>;
  readonly dial?: DialOptions;
}

/**
 * A Praefect that keeps its state in memory, in front of real Gitalys, as the virtual storage
 * `default`. Disposing stops all.
 */
export interface TestCluster extends AsyncDisposable {
  /** `unix:<path>` of Praefect. */
  readonly address: string;
  /** Connection to Praefect. */
  readonly connection: Connection;
  readonly sidechannels: SidechannelRegistry;
  readonly nodes: readonly TestGitaly[];
  /** Stops a node, which counts from 1, and removes it with its repositories. */
  stopNode(node: number): Promise<void>;
  /** Directory of a repository on a node. */
  repositoryPath(node: number, relativePath: string): string;
  /** Decoded JSON lines of Praefect's log. */
  readonly log: readonly Record<string, unknown>[];
}

/** Starts a cluster in this process. */
export async function startCluster(options: StartClusterOptions = {}): Promise<TestCluster> {
  await using building = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'gitaly-ts-cluster-'));
  building.defer(() => rmSync(directory, { recursive: true, force: true }));
  const nodes: TestGitaly[] = [];
  const stopped = new Set<TestGitaly>();
  const stop = async (node: TestGitaly | undefined): Promise<void> => {
    if (node === undefined || stopped.has(node)) return;
    stopped.add(node);
    await node[Symbol.asyncDispose]();
  };
  building.defer(async () => {
    for (const node of nodes) await stop(node);
  });
  for (let number = 1; number <= (options.nodes ?? 3); number++) {
    const name = `gitaly-${number}`;
    nodes.push(await startGitaly({ storages: [name], config: options.gitalyConfig ?? {} }));
  }
  const log: Record<string, unknown>[] = [];
  const server = building.use(
    await PraefectServer.start({
      config: praefectConfigFrom({
        socket_path: join(directory, 'praefect.socket'),
        memory_queue_enabled: true,
        i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning: true,
        failover: { election_strategy: 'local', bootstrap_interval: '1ms', monitor_interval: '50ms' },
        virtual_storage: [
          {
            name: 'default',
            node: nodes.map(({ address }, index) => ({ storage: `gitaly-${index + 1}`, address })),
          },
        ],
        ...options.config,
      }).config,
      logger: createLogger({
        format: 'json',
        level: 'info',
        // The logger writes JSON objects, one per line.
        stream: { write: (line) => log.push(JSON.parse(line) as Record<string, unknown>) },
      }),
    }),
  );
  const [address = ''] = server.addresses;
  const sidechannels = new SidechannelRegistry();
  const connection = building.use(await dialSidechannel(address, sidechannels, options.dial));
  const resources = building.move();
  return {
    address,
    connection,
    sidechannels,
    nodes,
    log,
    stopNode: (node) => stop(nodes[node - 1]),
    repositoryPath: (node, relativePath) =>
      join(nodes[node - 1]?.storagePath(`gitaly-${node}`) ?? '', relativePath),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
