import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  rmdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { createLogger } from '#platform/log/logger';
import type { PraefectConfig } from '#praefect/config/schema';
import { type Database, sql } from '#praefect/database/database';
import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { Nodes } from '#praefect/nodes/nodes';
import { copyRepository } from '#praefect/replication/copy-repository';
import { PostgresQueue } from '#praefect/replication/postgres-queue';
import { PostgresStore } from '#praefect/store/postgres-store';
import { ReplicaMarks } from '#praefect/store/replica-marks';
import { trackRepository } from '#praefect/tracking/track-repository';
import type { TestGitaly } from '#testkit/start-gitaly';
import { until } from '#testkit/until';

/** Time in which Praefect's cache learns of changes of the database. */
const NOTIFIED_MS = 20;
const HEALTHY_MS = 60_000;
const logger = createLogger({ format: 'json', level: 'error', stream: { write: () => {} } });

/** A repository in the database. */
interface Tracked {
  readonly id: number;
  readonly storage: string;
  /** As clients name it. */
  readonly path: string;
  readonly replicaPath: string;
}

/**
 * Keeps the database right about what tests do to the files of the first node: repositories that
 * they add are tracked, and replicated by the nodes themselves; those that they change are
 * replicated again; those that they remove are forgotten.
 *
 * Tests find a repository that a call has created by the client's path: a link on each node.
 */
export class TrackedRepositories implements AsyncDisposable {
  readonly #database: Database;
  readonly #config: PraefectConfig;
  readonly #gitalys: readonly TestGitaly[];
  /** By virtual storage. */
  readonly #nodes: ReadonlyMap<string, readonly GitalyNode[]>;
  readonly #connections: Nodes;
  /** States of the first node's repositories after the last call, by directory. */
  readonly #states = new Map<string, string>();
  /** Which directories these were. */
  readonly #births = new Map<string, string>();

  private constructor(
    database: Database,
    config: PraefectConfig,
    gitalys: readonly TestGitaly[],
    connections: Nodes,
  ) {
    this.#database = database;
    this.#config = config;
    this.#gitalys = gitalys;
    this.#connections = connections;
    this.#nodes = connections.byStorage;
  }

  static async start(
    database: Database,
    config: PraefectConfig,
    gitalys: readonly TestGitaly[],
  ): Promise<TrackedRepositories> {
    const nodes = await Nodes.dial(config, () => {}, {});
    return new TrackedRepositories(database, config, gitalys, nodes);
  }

  /** Makes the cluster equal to the files of the first node. */
  async beforeCall(): Promise<void> {
    await until(() => this.#isHealthy(), 'the nodes are healthy', HEALTHY_MS);
    let isChanged = false;
    const known = new Set<string>();
    for (const each of await this.#tracked()) {
      known.add(this.#directory(0, each.storage, each.path));
      const state = this.#stateOf(each);
      const before = this.#states.get(this.#directory(0, each.storage, each.path));
      if (state !== undefined && state === before) continue;
      isChanged = true;
      if (state !== undefined && this.#isSame(each)) await this.#replicate(each);
      else {
        await this.#forget(each);
        known.delete(this.#directory(0, each.storage, each.path));
      }
    }
    for (const storage of this.#nodes.keys())
      for (const path of repositoriesIn(this.#directory(0, storage, ''))) {
        if (known.has(this.#directory(0, storage, path))) continue;
        isChanged = true;
        await this.#track(storage, path);
      }
    if (isChanged) await delay(NOTIFIED_MS);
  }

  /** Makes new repositories accessible to tests, and remembers all states. */
  async afterCall(): Promise<void> {
    this.#states.clear();
    this.#births.clear();
    for (const each of await this.#tracked()) {
      const { id, path, replicaPath, storage } = each;
      const [first] = this.#nodes.get(storage) ?? [];
      // Tests write on the files of the first node, and its hooks are the ones that they have set.
      await this.#database.run(sql`
        UPDATE repositories SET "primary" = ${first?.storage ?? ''} WHERE repository_id = ${id}`);
      for (const index of this.#gitalys.keys()) {
        const link = this.#directory(index, storage, path);
        const target = this.#directory(index, storage, replicaPath);
        if (path === replicaPath || !existsSync(target) || existsSync(link)) continue;
        mkdirSync(dirname(link), { recursive: true });
        symlinkSync(target, link);
      }
      const state = this.#stateOf(each);
      if (state === undefined) continue;
      const directory = this.#directory(0, storage, path);
      this.#states.set(directory, state);
      this.#births.set(directory, birthOf(directory));
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#connections[Symbol.asyncDispose]();
  }

  /** A busy machine may respond late to checks, and then Praefect uses other nodes, or none. */
  async #isHealthy(): Promise<boolean> {
    const fresh = await this.#database.rows(sql`
      SELECT FROM node_status WHERE last_seen_active_at > now() - interval '2 seconds'`);
    return fresh.length === [...this.#nodes.values()].flat().length;
  }

  async #tracked(): Promise<readonly Tracked[]> {
    return await this.#database.rows(sql<Tracked>`
      SELECT repository_id AS id, virtual_storage AS storage, relative_path AS path,
        replica_path AS "replicaPath"
      FROM repositories`);
  }

  #directory(index: number, storage: string, path: string): string {
    return join(this.#gitalys[index]?.storagePath(storage) ?? '', path);
  }

  #stateOf({ path, storage }: Tracked): string | undefined {
    const directory = this.#directory(0, storage, path);
    // Some tests put a file there.
    const isDirectory = statSync(directory, { throwIfNoEntry: false })?.isDirectory() === true;
    return isDirectory ? stateOf(`${directory}/`).join('\n') : undefined;
  }

  /** Reports whether a repository was changed, and not replaced by another one. */
  #isSame({ path, storage }: Tracked): boolean {
    const directory = this.#directory(0, storage, path);
    return birthOf(directory) === this.#births.get(directory);
  }

  /** Leaves only what the tests have put on the first node. */
  async #forget({ id, path, replicaPath, storage }: Tracked): Promise<void> {
    await this.#database.run(sql`DELETE FROM repositories WHERE repository_id = ${id}`);
    for (const index of this.#gitalys.keys())
      for (const each of [path, replicaPath])
        if (index > 0 || (each === replicaPath && path !== replicaPath))
          removeBelow(this.#directory(index, storage, ''), each);
  }

  async #track(storage: string, path: string): Promise<void> {
    const [first] = this.#nodes.get(storage) ?? [];
    for (const index of this.#gitalys.keys())
      if (index > 0) rmSync(this.#directory(index, storage, path), { recursive: true, force: true });
    const parts = {
      config: this.#config,
      database: this.#database,
      queue: new PostgresQueue(this.#database, logger),
      nodes: this.#nodes,
      replicatesNow: true,
      print: () => {},
    };
    const request = {
      virtualStorage: storage,
      relativePath: path,
      replicaPath: path,
      authoritativeStorage: first?.storage ?? '',
    };
    // Some tests break repositories: these are on the first node alone, or nowhere.
    await trackRepository(parts, request).catch(() => {});
  }

  async #replicate({ id, path, replicaPath, storage }: Tracked): Promise<void> {
    const [source, ...others] = this.#nodes.get(storage) ?? [];
    if (source === undefined) return;
    const repository = { virtualStorage: storage, relativePath: path };
    await new ReplicaMarks(this.#database).setAuthoritative(repository, source.storage);
    const store = new PostgresStore(this.#database);
    for (const target of others) {
      const job = {
        ...repository,
        change: 'update',
        repositoryId: id,
        replicaPath,
        source: source.storage,
        target: target.storage,
        correlationId: 'contract',
      } as const;
      const plan = await store.planCopy(job);
      const end = await copyRepository(job, { source, target, replicaPath }).catch(() => 'failed');
      if (plan !== undefined && end === 'copied') await store.recordCopy(job, plan.source);
    }
  }
}

/** Removes what is at a path below a storage, and the directories above it that are empty then. */
function removeBelow(storage: string, path: string): void {
  let directory = join(storage, path);
  if (!directory.startsWith(`${storage}/`)) return; // some tests try to leave the storage
  rmSync(directory, { recursive: true, force: true });
  for (directory = dirname(directory); directory !== storage; directory = dirname(directory)) {
    if (!existsSync(directory)) continue;
    if (readdirSync(directory).length > 0) return;
    rmdirSync(directory);
  }
}

/** Returns the paths of the repositories below a storage that are no links, and none of Praefect's. */
function repositoriesIn(storage: string, path = ''): string[] {
  if (!existsSync(join(storage, path))) return []; // a test has removed the storage
  const entries = readdirSync(join(storage, path), { withFileTypes: true });
  const names = new Set(entries.map(({ name }) => name));
  if (path !== '' && (names.has('objects') || names.has('HEAD'))) return [path];
  return entries
    .filter((entry) => entry.isDirectory() && !['+gitaly', '@cluster'].includes(join(path, entry.name)))
    .flatMap(({ name }) => repositoriesIn(storage, join(path, name)));
}

/** Returns a line for each file, which differs if the file was written. */
function stateOf(directory: string): string[] {
  return readdirSync(directory, { withFileTypes: true, encoding: 'latin1' }).flatMap((entry) => {
    const path = Buffer.from(join(directory, entry.name), 'latin1');
    const stat = lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined) return [];
    if (stat.isDirectory()) return stateOf(path.toString('latin1'));
    return [[entry.name, stat.ino, stat.size, stat.mtimeMs, stat.mode].join(' ')];
  });
}

/** Tells a directory from a later one with the same name. */
function birthOf(directory: string): string {
  const { birthtimeMs, ino } = statSync(directory);
  return `${ino} ${birthtimeMs}`;
}
