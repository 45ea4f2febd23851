import type { PraefectConfig } from '../config/schema.ts';
import { type Database, sql } from '../database/database.ts';
import { Availability } from '../store/availability.ts';
import {
  type ClusterStatus,
  MAX_UNAVAILABLE_PATHS,
  type StorageStatus,
  type VirtualStorageStatus,
} from './cluster-status.ts';

/** Time limit: a million repositories take seconds. */
const LIMIT_MS = 60_000;

interface StorageRow {
  readonly virtual_storage: string;
  readonly storage: string;
}

/**
 * Reads the state of a cluster from its database. It reads whole tables: with a million
 * repositories that takes seconds.
 */
export async function databaseStatus(
  database: Database,
  { virtualStorage }: Pick<PraefectConfig, 'virtualStorage'>,
): Promise<ClusterStatus> {
  const configured = new Map(
    virtualStorage.map(({ name, node }) => [name, node.map(({ storage }) => storage)]),
  );
  const facts = await storageFacts(database, configured);
  const availability = new Availability(database, configured);
  const unavailable = await availability.countUnavailable(LIMIT_MS);
  const counts = await database.rows(sql<{ virtual_storage: string; count: number }>`
    SELECT virtual_storage, count(*) AS count FROM repositories GROUP BY virtual_storage`);
  const praefects = await database.rows(sql<{ name: string; last_contact: Date }>`
    SELECT praefect_name AS name, max(last_contact_attempt_at) AS last_contact
    FROM node_status
    WHERE last_contact_attempt_at > now() - INTERVAL '60 seconds'
    GROUP BY praefect_name ORDER BY praefect_name`);
  const virtualStorages: VirtualStorageStatus[] = [];
  for (const [name, storages] of configured) {
    const lost = unavailable.get(name) ?? 0;
    virtualStorages.push({
      name,
      repositories: counts.find((row) => row.virtual_storage === name)?.count ?? 0,
      unavailable: lost,
      unavailablePaths: lost === 0 ? [] : await availability.unavailablePaths(name, MAX_UNAVAILABLE_PATHS),
      storages: storages.map((storage) => facts(name, storage)),
    });
  }
  return {
    virtualStorages,
    praefects: praefects.map((row) => ({ name: row.name, lastContact: row.last_contact })),
  };
}

/** Returns a function that looks up the facts of a storage. */
async function storageFacts(
  database: Database,
  configured: ReadonlyMap<string, readonly string[]>,
): Promise<(virtualStorage: string, storage: string) => StorageStatus> {
  const names = [...configured].flatMap(([name, each]) => each.map(() => name));
  const storages = [...configured.values()].flat();
  const assignment = sql`SELECT FROM repository_assignments AS assigned
    WHERE assigned.repository_id = each.repository_id`;
  const replicas = byStorage(
    await database.rows(sql<StorageRow & { assigned: number; outdated: number }>`
      WITH configured AS (
        SELECT * FROM unnest(${names}::text[], ${storages}::text[])
          AS pairs(virtual_storage, storage)
      )
      SELECT each.virtual_storage, configured.storage, count(*) AS assigned,
        count(*) FILTER (WHERE replica.generation IS NULL OR replica.generation < each.generation) AS outdated
      FROM repositories AS each
      JOIN configured USING (virtual_storage)
      LEFT JOIN storage_repositories AS replica
        ON replica.repository_id = each.repository_id AND replica.storage = configured.storage
      WHERE EXISTS (${assignment} AND assigned.storage = configured.storage)
        OR NOT EXISTS (${assignment} AND assigned.storage IN (
          SELECT others.storage FROM configured AS others WHERE others.virtual_storage = each.virtual_storage
        ))
      GROUP BY each.virtual_storage, configured.storage`),
  );
  const primaries = byStorage(
    await database.rows(sql<StorageRow & { count: number }>`
      SELECT virtual_storage, "primary" AS storage, count(*) AS count
      FROM repositories WHERE "primary" IS NOT NULL GROUP BY virtual_storage, "primary"`),
  );
  const health = byStorage(
    await database.rows(sql<StorageRow & { last_seen: Date | null; is_healthy: boolean }>`
      SELECT shard_name AS virtual_storage, node_name AS storage, max(last_seen_active_at) AS last_seen,
        (shard_name, node_name) IN (SELECT virtual_storage, storage FROM healthy_storages) AS is_healthy
      FROM node_status GROUP BY shard_name, node_name`),
  );
  const jobs = byStorage(
    await database.rows(sql<StorageRow & { count: number; oldest: Date }>`
      SELECT job->>'virtual_storage' AS virtual_storage, job->>'target_node_storage' AS storage,
        count(*) AS count, min(created_at) AT TIME ZONE 'UTC' AS oldest
      FROM replication_queue
      WHERE state NOT IN ('completed', 'cancelled', 'dead')
      GROUP BY job->>'virtual_storage', job->>'target_node_storage'`),
  );
  return (virtualStorage, storage) => {
    const key = nodeKey(virtualStorage, storage);
    return {
      storage,
      isHealthy: health.get(key)?.is_healthy ?? false,
      lastSeen: health.get(key)?.last_seen ?? undefined,
      primaries: primaries.get(key)?.count ?? 0,
      assigned: replicas.get(key)?.assigned ?? 0,
      outdated: replicas.get(key)?.outdated ?? 0,
      jobs: jobs.get(key)?.count ?? 0,
      oldestJob: jobs.get(key)?.oldest,
    };
  };
}

function byStorage<Row extends StorageRow>(rows: readonly Row[]): ReadonlyMap<string, Row> {
  return new Map(rows.map((row) => [nodeKey(row.virtual_storage, row.storage), row]));
}

function nodeKey(virtualStorage: string, storage: string): string {
  return `${virtualStorage}\0${storage}`;
}
