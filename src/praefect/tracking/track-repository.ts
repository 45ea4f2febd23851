import { randomUUID } from 'node:crypto';
import { GitalyError, messageOf, prefixed } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { asGoStatus } from '#base/go/status';
import { shuffled } from '#base/shuffled';
import type { PraefectConfig } from '../config/schema.ts';
import { type Database, sql } from '../database/database.ts';
import type { ReplicationQueue } from '../model/job.ts';
import type { NodesByStorage } from '../nodes/gitaly-node.ts';
import { copyRepository } from '../replication/copy-repository.ts';
import { PostgresStore } from '../store/postgres-store.ts';
import { RepositoryLookups } from '../store/repository-lookups.ts';

const PREFIX = 'attempting to track repository in praefect database';
const EXISTS_LIMIT_MS = 10_000;

/** A repository that is on a node and not in the database. */
export interface TrackRequest {
  readonly virtualStorage: string;
  readonly relativePath: string;
  /** Its path on the disk. */
  readonly replicaPath: string;
  /** Storage of the node that has it. */
  readonly authoritativeStorage: string;
}

export interface TrackOptions {
  readonly config: PraefectConfig;
  readonly database: Database;
  readonly queue: ReplicationQueue;
  readonly nodes: NodesByStorage;
  /** Copies it to the other nodes now. Otherwise a running Praefect does so. */
  readonly replicatesNow: boolean;
  readonly print: (line: string) => void;
}

/**
 * Adds a repository to the database and to the work of replication.
 *
 * @throws {Error} `attempting to track repository in praefect database: …`
 */
export async function trackRepository(options: TrackOptions, request: TrackRequest): Promise<void> {
  await track(options, request).catch(prefixed(PREFIX));
}

/**
 * Reports whether the authoritative node has the repository. A repository that the node does not
 * accept is printed, and counts as missing.
 *
 * @throws {Error} `virtual storage "x" not found`, `node "x" not found`
 */
export async function isOnNode(
  { nodes, print }: Pick<TrackOptions, 'nodes' | 'print'>,
  { authoritativeStorage, replicaPath, virtualStorage }: TrackRequest,
): Promise<boolean> {
  const ofStorage = nodes.get(virtualStorage);
  if (ofStorage === undefined) throw new Error(`virtual storage ${quote(virtualStorage)} not found`);
  const node = ofStorage.find(({ storage }) => storage === authoritativeStorage);
  if (node === undefined) throw new Error(`node ${quote(authoritativeStorage)} not found`);
  const repository = { storageName: node.storage, relativePath: replicaPath };
  try {
    const { exists } = await node.connection.repository.repositoryExists(
      { repository },
      { timeoutMs: EXISTS_LIMIT_MS },
    );
    return exists;
  } catch {
    print(`checking if repository exists ${quote(node.storage)}, ${quote(replicaPath)}`);
    return false;
  }
}

async function track(options: TrackOptions, request: TrackRequest): Promise<void> {
  const { config, nodes, print, queue, replicatesNow } = options;
  const { authoritativeStorage: primary, relativePath, replicaPath, virtualStorage } = request;
  if (!(await isOnNode(options, request))) throw new Error('authoritative repository does not exist');
  const factor =
    config.virtualStorage.find(({ name }) => name === virtualStorage)?.defaultReplicationFactor ?? 0;
  const others = (nodes.get(virtualStorage) ?? []).filter(({ storage }) => storage !== primary);
  const secondaries = factor > 0 ? shuffled(others).slice(0, factor - 1) : others;
  const repositoryId = await record(options, request, {
    outdated: secondaries.map(({ storage }) => storage),
    isAssigned: factor > 0,
  });
  print('Finished adding new repository to be tracked in praefect database.');
  const source = nodes.get(virtualStorage)?.find(({ storage }) => storage === primary);
  for (const target of secondaries) {
    const job = {
      change: 'update',
      repositoryId,
      virtualStorage,
      relativePath,
      replicaPath,
      source: primary,
      target: target.storage,
      correlationId: randomUUID(),
    } as const;
    if (replicatesNow && source !== undefined) {
      const store = new PostgresStore(options.database);
      const plan = await store.planCopy(job);
      if (plan !== undefined && plan.source > plan.target) {
        const outcome = await copyRepository(job, { source, target, replicaPath: plan.replicaPath }).catch(
          (error: unknown) => {
            const text = messageOf(asGoStatus(error));
            throw new Error(`processing replication event ${text}`, { cause: error }); // Gitaly has no colon
          },
        );
        if (outcome === 'invalid-source')
          throw new Error('processing replication event invalid source repository');
        await store.recordCopy(job, plan.source);
      }
      print(`Finished replicating repository to ${quote(target.storage)}.`);
    } else if (await queue.enqueue(job)) {
      print(`Added replication job to replicate repository to ${quote(target.storage)}.`);
    } else {
      const names = [virtualStorage, target.storage, relativePath].map(quote).join(' -> ');
      print(
        `replication event queue already has similar entry: replication event "" -> ${names} already exists.`,
      );
      return;
    }
  }
}

async function record(
  { database, print }: TrackOptions,
  { authoritativeStorage, relativePath, replicaPath, virtualStorage }: TrackRequest,
  { isAssigned, outdated }: { isAssigned: boolean; outdated: readonly string[] },
): Promise<number> {
  const repository = { virtualStorage, relativePath };
  const id = await new RepositoryLookups(database).reserveId(repository);
  if (id === undefined) {
    print('repository is already tracked in praefect database');
    const existing = await database.row(sql<{ id: number }>`
      SELECT repository_id AS id FROM repositories
      WHERE virtual_storage = ${virtualStorage} AND relative_path = ${relativePath}`);
    if (existing === undefined) throw new GitalyError('NOT_FOUND', 'repository not found');
    return existing.id;
  }
  await new PostgresStore(database).recordCreation({
    repository,
    repositoryId: id,
    replicaPath,
    primary: authoritativeStorage,
    updated: [],
    outdated,
    isAssigned,
  });
  return id;
}
