import assert from 'node:assert/strict';
import { join } from 'node:path';
import { messageOf } from '#base/gitaly-error';
import { sql } from '#praefect/database/database';
import { runGit } from '#testkit/repositories/run-git';
import { run } from '#testkit/run-program';
import { until } from '#testkit/until';
import type { FaultCluster, FaultNode, FaultPraefect } from './fault-cluster.ts';
import type { Pusher } from './pusher.ts';

/** Time for a job of a killed Praefect to be found, and for its repetition. */
export const RECOVERY_MS = 150_000;

/** A report of a Praefect about the replicas of its repositories. */
export interface ReportedLoss {
  /** Changes that a replica lacks, by path and storage. Repositories without a loss are missing. */
  readonly behind: ReadonlyMap<string, ReadonlyMap<string, bigint>>;
}

/** Returns what `praefect dataloss --partially-unavailable` prints. */
export async function reportedLoss({ connection }: FaultPraefect): Promise<ReportedLoss> {
  const behind = new Map<string, ReadonlyMap<string, bigint>>();
  const parts = connection.praefectInfo.dataloss(
    { virtualStorage: 'default', includePartiallyReplicated: true },
    { timeoutMs: 5000 },
  );
  for await (const { repositories } of parts)
    for (const { relativePath, storages } of repositories)
      behind.set(relativePath, new Map(storages.map(({ behindBy, name }) => [name, behindBy])));
  return { behind };
}

/**
 * Checks that each replica which a Praefect reports as up to date has every push that was
 * acknowledged before. Returns false if the Praefect or its database does not respond now.
 */
export async function checkLoss(
  cluster: FaultCluster,
  praefect: FaultPraefect,
  pushers: readonly Pusher[],
  paths: ReadonlyMap<string, string>,
): Promise<boolean> {
  const acknowledged = pushers.map((pusher) => pusher.acknowledged);
  const loss = await reportedLoss(praefect).catch(() => undefined);
  if (loss === undefined) return false;
  for (const [index, pusher] of pushers.entries()) {
    const { relativePath, branch } = pusher;
    for (const node of cluster.nodes) {
      if ((loss.behind.get(relativePath)?.get(node.storage) ?? 0n) > 0n) continue;
      const place = pusher.placeOf(await tipOn(node, paths.get(relativePath) ?? '', branch));
      assert.ok(
        place >= (acknowledged[index] ?? -1),
        `${node.storage} is reported as up to date: ${branch} is at commit ${place}, ` +
          `but ${acknowledged[index]} was acknowledged`,
      );
    }
  }
  return true;
}

/** Returns the jobs and generations in the database, for the error of a failed test. */
async function stateOf({ database }: FaultCluster): Promise<string> {
  const jobs = await database.rows(sql`
    SELECT queue.id, state, attempt, job->>'target_node_storage' AS target,
      job->>'source_node_storage' AS source, acquired, now() AT TIME ZONE 'UTC' - triggered_at AS quiet
    FROM replication_queue AS queue
    JOIN replication_queue_lock AS lock ON lock.id = queue.lock_id
    LEFT JOIN replication_queue_job_lock AS tracked ON tracked.job_id = queue.id`);
  const replicas = await database.rows(sql`
    SELECT replicas.repository_id, storage, replicas.generation, repositories.generation AS newest, "primary"
    FROM storage_repositories AS replicas JOIN repositories USING (repository_id)`);
  const healthy = await database.rows(sql`SELECT storage FROM healthy_storages`);
  return JSON.stringify({ jobs, replicas, healthy }, undefined, 1);
}

/** Returns the commit of a branch on a node, which need not run; empty if there is none. */
async function tipOn(node: FaultNode, path: string, branch: string): Promise<string> {
  const { stdout } = await run('git', [
    ...['-C', join(node.directory, 'default', path)],
    ...['rev-parse', '--verify', '--quiet', `refs/heads/${branch}`],
  ]);
  return stdout.trim();
}

/**
 * Checks after the end of all faults: pushes succeed again, all replicas become equal and contain
 * the last push of each branch, nothing is reported as lost, and git finds no damage.
 */
export async function checkRecovery(
  cluster: FaultCluster,
  pushers: readonly Pusher[],
  paths: ReadonlyMap<string, string>,
): Promise<void> {
  for (const pusher of pushers)
    await until(
      () => pusher.push(),
      () => `${pusher.branch} can be pushed to again: ${pusher.lastError}`,
      RECOVERY_MS,
    );
  try {
    for (const praefect of cluster.praefects)
      await until(
        async () => (await reportedLoss(praefect)).behind.size === 0,
        'all replicas are up to date',
        RECOVERY_MS,
      );
  } catch (error) {
    throw new Error(`${messageOf(error)}: ${await stateOf(cluster)}`, { cause: error });
  }
  for (const [relativePath, replicaPath] of paths) {
    const branches = pushers.filter((pusher) => pusher.relativePath === relativePath);
    const expected = branches.map(({ branch, latest }) => `${latest} refs/heads/${branch}`).sort();
    for (const { directory, storage } of cluster.nodes) {
      const replica = join(directory, 'default', replicaPath);
      const found = await runGit(['-C', replica, 'for-each-ref', '--format=%(objectname) %(refname)']);
      assert.deepEqual(found.split('\n').sort(), expected, `references of ${relativePath} on ${storage}`);
      await runGit(['-C', replica, 'fsck', '--no-dangling', '--no-progress']);
    }
  }
}
