import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Connection, dial } from '#client/index';
import { startHttpGateway, startSshGateway, storageMapping } from '#gateway/index';
import { Database } from '#praefect/database/database';
import {
  type EmbeddedPostgres,
  removeEmbeddedPostgres,
  startEmbeddedPostgres,
} from '#praefect/database/embedded-postgres';
import { gitOverSsh, NO_OPENSSH, sshArguments } from '#testkit/clients/ssh-client';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { type GitalyProcess, startGitalyProcess } from '#testkit/servers/start-gitaly-process';
import { copyPostgresTemplate, MIGRATED } from '#testkit/servers/start-postgres';
import { FaultyLink } from './faulty-link.ts';
import { PraefectProcess } from './praefect-process.ts';
import { mountSmall } from './small-storage.ts';

export const NODES = 3;
const PRAEFECTS = 2;
const SOCKET = '.s.PGSQL.5432';

/** A Gitaly in a separate process. Its directory stays when it is killed. */
export interface FaultNode {
  /** Name of its storage. */
  readonly storage: string;
  readonly directory: string;
  process: GitalyProcess;
  /** From each Praefect to it. */
  readonly links: readonly FaultyLink[];
  /** Starts it again, after a kill. */
  restart(): Promise<void>;
}

/** A way from git to the repositories of a Praefect. */
export interface GitRoute {
  /** Begins the URL of each repository; its path follows. */
  readonly url: string;
  /** Environment of git. */
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** A Praefect in a separate process, with gateways for git in this one. */
export interface FaultPraefect {
  readonly process: PraefectProcess;
  /** By HTTP, and by SSH where this machine has a client. */
  readonly routes: readonly GitRoute[];
  readonly connection: Connection;
  /** From it to the database. */
  readonly databaseLink: FaultyLink;
}

/** How primaries are elected. With `local` there is one Praefect, and its state is in memory. */
export type Strategy = 'per_repository' | 'sql' | 'local';

export interface FaultClusterOptions {
  /** Default `per_repository`. */
  readonly strategy?: Strategy;
  /** Mounts a small file system for each node's storage, which can be filled. */
  readonly hasSmallDisks?: boolean;
  /** Orders the writes of both Praefects (`ordered_across_praefects`). */
  readonly isOrdered?: boolean;
  /** Switches the change feed on, of the nodes and the Praefects. */
  readonly hasFeed?: boolean;
}

const FEED = '[events]\nenabled = true\n';

/**
 * Three Gitalys, two Praefects and a PostgreSQL in separate processes, which are connected by
 * links that can be disturbed.
 */
export class FaultCluster implements AsyncDisposable {
  readonly directory: string;
  readonly nodes: readonly FaultNode[];
  readonly praefects: readonly FaultPraefect[];
  readonly database: Database;
  readonly #postgres: { running: EmbeddedPostgres; readonly directory: string };
  readonly #resources: AsyncDisposableStack;

  private constructor(parts: {
    directory: string;
    nodes: readonly FaultNode[];
    praefects: readonly FaultPraefect[];
    database: Database;
    postgres: { running: EmbeddedPostgres; readonly directory: string };
    resources: AsyncDisposableStack;
  }) {
    this.directory = parts.directory;
    this.nodes = parts.nodes;
    this.praefects = parts.praefects;
    this.database = parts.database;
    this.#postgres = parts.postgres;
    this.#resources = parts.resources;
  }

  static async start({
    hasFeed = false,
    hasSmallDisks = false,
    isOrdered = false,
    strategy = 'per_repository',
  }: FaultClusterOptions = {}): Promise<FaultCluster> {
    await using resources = new AsyncDisposableStack();
    const directory = makeScratchDirectory('faults');
    resources.defer(() => rmSync(directory, { recursive: true, force: true }));
    chmodSync(directory, 0o711); // PostgreSQL runs as another user
    mkdirSync(join(directory, 'pg'));
    await copyPostgresTemplate(join(directory, 'pg/data'));
    const postgres = {
      directory: join(directory, 'pg'),
      // Durable: what was committed before a crash is there after it.
      running: await startEmbeddedPostgres({ directory: join(directory, 'pg'), isDurable: true }),
    };
    resources.defer(() => removeEmbeddedPostgres(postgres.running, postgres.directory));
    const { host, user } = postgres.running;
    const database = resources.use(
      await Database.open({ host, user, database: MIGRATED, ssl: false, mayFallBack: false }),
    );
    const nodes = await Promise.all(
      Array.from({ length: NODES }, (_, index) =>
        startNode(join(directory, `node-${index + 1}`), `gitaly-${index + 1}`, resources, {
          hasFeed,
          hasSmallDisks,
        }),
      ),
    );
    const praefects = await Promise.all(
      Array.from({ length: strategy === 'local' ? 1 : PRAEFECTS }, (_, index) =>
        startPraefect(join(directory, `praefect-${index + 1}`), index, {
          ...{ nodes, host, user, resources },
          ...{ hasFeed, isOrdered, strategy },
        }),
      ),
    );
    return new FaultCluster({ directory, nodes, praefects, database, postgres, resources: resources.move() });
  }

  /** Ends the database: `SIGINT` in good order, `SIGQUIT` like a crash. */
  async stopDatabase(signal: 'SIGINT' | 'SIGQUIT'): Promise<void> {
    process.kill(this.#postgres.running.pid, signal);
    await this.#postgres.running[Symbol.asyncDispose]();
  }

  async startDatabase(): Promise<void> {
    const { directory } = this.#postgres;
    this.#postgres.running = await startEmbeddedPostgres({ directory, isDurable: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

async function startNode(
  directory: string,
  storage: string,
  resources: AsyncDisposableStack,
  { hasFeed = false, hasSmallDisks = false }: FaultClusterOptions,
): Promise<FaultNode> {
  const path = join(directory, 'default');
  mkdirSync(path, { recursive: true });
  if (hasSmallDisks) resources.use(mountSmall(path));
  const start = (): Promise<GitalyProcess> =>
    startGitalyProcess({ directory, storage, onLog: () => {}, ...(hasFeed && { config: FEED }) });
  const first = await start();
  const links: FaultyLink[] = [];
  for (let count = 0; count < PRAEFECTS; count++)
    links.push(resources.use(await FaultyLink.start(first.address.slice('unix:'.length))));
  const node: FaultNode = {
    storage,
    directory,
    process: first,
    links,
    restart: async () => {
      await node.process.exited;
      node.process = await start();
    },
  };
  resources.defer(() => node.process[Symbol.asyncDispose]());
  return node;
}

async function startPraefect(
  directory: string,
  number: number,
  parts: {
    nodes: readonly FaultNode[];
    host: string;
    user: string;
    resources: AsyncDisposableStack;
    isOrdered: boolean;
    strategy: Strategy;
    hasFeed: boolean;
  },
): Promise<FaultPraefect> {
  const { hasFeed, host, isOrdered, nodes, resources, strategy, user } = parts;
  mkdirSync(directory);
  const socket = join(directory, 'praefect.socket');
  const config = join(directory, 'config.toml');
  const databaseLink = resources.use(await FaultyLink.start(join(host, SOCKET), join(directory, SOCKET)));
  const node = ({ links, storage }: FaultNode): string =>
    `[[virtual_storage.node]]\nstorage = "${storage}"\naddress = "${links[number]?.address}"\n`;
  writeFileSync(
    config,
    `socket_path = "${socket}"
i_understand_my_election_strategy_is_unsupported_and_will_be_removed_without_warning = true
memory_queue_enabled = ${strategy === 'local'}
[failover]
election_strategy = "${strategy}"
[logging]
format = "json"
[transactions]
ordered_across_praefects = ${isOrdered}
[database]
host = "${directory}"
user = "${user}"
dbname = "${MIGRATED}"
[reconciliation]
scheduling_interval = "2s"
${hasFeed ? FEED : ''}[[virtual_storage]]
name = "default"
${nodes.map(node).join('')}`,
  );
  const praefect = resources.use(await PraefectProcess.start(config));
  const routes = await startGateways(directory, `unix:${socket}`, resources);
  const connection = resources.use(await dial(`unix:${socket}`));
  return { process: praefect, routes, connection, databaseLink };
}

async function startGateways(
  directory: string,
  address: string,
  resources: AsyncDisposableStack,
): Promise<readonly GitRoute[]> {
  const common = {
    gitaly: { address },
    listen: { host: '127.0.0.1', port: 0 },
    mapping: storageMapping('default'),
  };
  const http = resources.use(await startHttpGateway(common));
  const routes: GitRoute[] = [{ url: http.url, env: GIT_ENVIRONMENT }];
  if (NO_OPENSSH !== false) return routes;
  const hostKeyPath = join(directory, 'host-key');
  const access = { everybody: { glId: 'user-1', username: 'git' } };
  const ssh = resources.use(await startSshGateway({ ...common, hostKeyPath, access }));
  const args = await sshArguments({ directory, gateway: ssh, hostKeyPath });
  return [...routes, { url: ssh.url, env: gitOverSsh(args) }];
}
