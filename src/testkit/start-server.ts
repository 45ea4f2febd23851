import { checkNames, type NamesOf } from '#base/check-names';
import { servedRepositories } from './servers/served-repositories.ts';
import { startCluster } from './start-cluster.ts';
import {
  OPTION_NAMES,
  type StartGitalyOptions,
  startGitaly as startNode,
  type TestGitaly,
} from './start-gitaly.ts';

/** Options of {@link startGitaly}. */
export interface StartOptions extends StartGitalyOptions {
  /**
   * Number of Gitalys behind a Praefect, which keeps its state in memory. Their storages are
   * `gitaly-1`, `gitaly-2` …; clients use the virtual storage `default`.
   */
  readonly cluster?: number;
  /** Additional keys of Praefect's configuration file. */
  readonly praefectConfig?: Readonly<Record<string, unknown>>;
}

const ALL_NAMES: NamesOf<StartOptions> = {
  ...OPTION_NAMES,
  cluster: true,
  praefectConfig: true,
};
/** Options that do not apply to a cluster. */
const NOT_IN_CLUSTERS = ['storages', 'tcp', 'tls'] as const;
const MAX_NODES = 16; // each has its own processes and sockets

/**
 * Starts a server in this process, or with `cluster` a Praefect and its Gitalys.
 *
 * @throws {TypeError} for an option that does not exist, with the nearest name
 */
export async function startGitaly(options: StartOptions = {}): Promise<TestGitaly> {
  checkNames('startGitaly', options, ALL_NAMES);
  const { cluster, praefectConfig, ...rest } = options;
  if (cluster !== undefined) return await startNodes(cluster, options);
  if (praefectConfig !== undefined)
    throw new TypeError('startGitaly: "praefectConfig" needs the option "cluster"');
  return await startNode(rest);
}

async function startNodes(count: number, options: StartOptions): Promise<TestGitaly> {
  const { config, customHooks, dial, internalApi, logLevel, praefectConfig, token } = options;
  if (!Number.isInteger(count) || count < 1 || count > MAX_NODES)
    throw new TypeError(`startGitaly: "cluster" is a number of Gitalys from 1 to ${MAX_NODES}`);
  const unused = NOT_IN_CLUSTERS.find((name) => options[name] !== undefined);
  if (unused !== undefined)
    throw new TypeError(`startGitaly: the option "${unused}" has no effect in a cluster`);
  const cluster = await startCluster({
    nodes: count,
    config: { ...(token !== undefined && { auth: { token } }), ...praefectConfig },
    dial: { ...(token !== undefined && { token }), ...dial },
    ...(config !== undefined && { gitalyConfig: config }),
    ...(logLevel !== undefined && { logLevel }),
    gitaly: {
      ...(customHooks !== undefined && { customHooks }),
      ...(internalApi !== undefined && { internalApi }),
      ...(logLevel !== undefined && { logLevel }),
    },
  });
  let closed: Promise<void> | undefined;
  const close = (): Promise<void> => {
    closed ??= Promise.resolve(cluster[Symbol.asyncDispose]());
    return closed;
  };
  const { address, connection, directory, faults, log, nodes } = cluster;
  return {
    directory,
    address,
    addresses: {
      unix: address,
      tcp: undefined,
      tls: undefined,
      internal: nodes[0]?.addresses.internal ?? '',
    },
    connection,
    log,
    faults,
    nodes,
    storagePath: (name = 'gitaly-1') => {
      const node = nodes[Number(name.replace(/^gitaly-/, '')) - 1];
      if (node === undefined) throw new TypeError(`the cluster has no storage "${name}"`);
      return node.storagePath(name);
    },
    ...servedRepositories(connection, ({ relativePath }) =>
      nodes.map((_, index) => cluster.repositoryPath(index + 1, relativePath)),
    ),
    close,
    [Symbol.asyncDispose]: close,
  };
}
