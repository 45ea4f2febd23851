import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { Database, sql } from '#praefect/database/database';
import { removeEmbeddedPostgres, startEmbeddedPostgres } from '#praefect/database/embedded-postgres';
import { applyAllMigrations } from '#praefect/database/migrations/migrate';
import { makeScratchDirectory } from '#testkit/scratch-directory';
import { copyRepository, type RepositoryName, type StoredRepository } from './repositories.ts';
import { type ServerProcess, startPeer, startPraefect, startServer } from './server-process.ts';
import { StatementCounter } from './statement-counter.ts';

/** A Praefect and its Gitalys, each in a process, with a PostgreSQL. */
export interface BenchCluster {
  readonly praefect: ServerProcess;
  readonly nodes: readonly ServerProcess[];
  /** Puts a repository on all nodes, and records it as up to date. */
  repository(name: RepositoryName, as: string): Promise<StoredRepository>;
  /** Starts another praefect, the statements of which are counted. */
  countedPraefect(): Promise<{ praefect: ServerProcess; counter: StatementCounter }>;
}

/** Programs of Gitaly instead of this project's. */
export interface PeerPrograms {
  readonly gitaly: string;
  readonly praefect: string;
  readonly git: string;
}

export interface ClusterOptions {
  /** Number of nodes. */
  readonly count: number;
  readonly resources: AsyncDisposableStack;
  /** Additional tables of the nodes' configuration. */
  readonly settings?: string;
  readonly peer?: PeerPrograms | undefined;
}

/** Starts a cluster. @param directory on the file system of the cached repositories */
export async function startCluster(
  directory: string,
  { count, resources, settings = '', peer }: ClusterOptions,
): Promise<BenchCluster> {
  const postgres = await startPostgres(resources);
  const storages = Array.from({ length: count }, (_, index) => `gitaly-${index + 1}`);
  const storagePath = (storage: string): string => storageBelow(join(directory, storage));
  const nodes: ServerProcess[] = [];
  for (const storage of storages) {
    mkdirSync(storagePath(storage), { recursive: true });
    const node = await startNode(join(directory, storage), { storage, settings, peer });
    resources.defer(() => node.stop());
    nodes.push(node);
  }
  const addresses = nodes.map(({ socket }, index) => ({ storage: storages[index] ?? '', socket }));
  const praefectAt = async (host: string): Promise<ServerProcess> => {
    const praefect = await startPraefect(directory, {
      ...postgres,
      host,
      nodes: addresses,
      program: peer?.praefect,
    });
    resources.defer(() => praefect.stop());
    return praefect;
  };
  const praefect = await praefectAt(postgres.host);
  return {
    praefect,
    nodes,
    async countedPraefect() {
      const sockets = makeScratchDirectory('bench-statements');
      resources.defer(() => rmSync(sockets, { recursive: true }));
      const counter = resources.use(await StatementCounter.start(postgres.host, sockets));
      return { counter, praefect: await praefectAt(sockets) };
    },
    async repository(name, as) {
      for (const storage of storages) await copyRepository(name, join(storagePath(storage), as));
      await postgres.database.run(sql`
        WITH repository AS (
          INSERT INTO repositories (virtual_storage, relative_path, replica_path, generation, "primary")
          VALUES ('default', ${as}, ${as}, 0, ${storages[0]}) RETURNING *
        )
        INSERT INTO storage_repositories (virtual_storage, relative_path, storage, repository_id, generation)
        SELECT virtual_storage, relative_path, storage, repository_id, 0
        FROM repository, unnest(${storages}::text[]) AS each(storage)`);
      return {
        path: join(storagePath(storages[0] ?? ''), as),
        wire: { storageName: 'default', relativePath: as, glRepository: as },
      };
    },
  };
}

/** Returns the path of the storage of a node. @param directory of the node */
function storageBelow(directory: string): string {
  return join(directory, 'repositories');
}

async function startNode(
  directory: string,
  {
    storage,
    settings,
    peer,
  }: { readonly storage: string } & Required<Pick<ClusterOptions, 'settings' | 'peer'>>,
): Promise<ServerProcess> {
  const path = storageBelow(directory);
  if (peer === undefined) return await startServer(directory, path, { storage, settings });
  const { gitaly, git } = peer;
  return await startPeer(gitaly, { directory, storage: path, storageName: storage, git, settings });
}

async function startPostgres(
  resources: AsyncDisposableStack,
): Promise<{ database: Database; host: string; user: string }> {
  const directory = makeScratchDirectory('bench-pg');
  const server = await startEmbeddedPostgres({ directory, isDurable: true });
  resources.defer(() => removeEmbeddedPostgres(server, directory));
  const { host, user } = server;
  const database = resources.use(
    await Database.open({ host, user, database: 'postgres', ssl: false, mayFallBack: false }),
  );
  await applyAllMigrations(database);
  return { database, host, user };
}
