import { flag, gitCommand } from '#git/command/git-command';
import { outputLines } from '#git/command/output-lines';
import { objectIdProblem } from '#git/names/object-id';
import { RefTransaction } from '#git/refs/update/ref-transaction';
import type { Repository } from '#storage/repository';

/** Number of references that are created at once. */
const BATCH = 1000;

/**
 * Makes references `refs/dangling/<object id>` to everything in a pool that no reference leads to,
 * so that no command drops it. Each node of a cluster has other such objects: there is no vote.
 *
 * @throws {GitExitError} when the pool is damaged.
 */
export async function rescueDanglingObjects(pool: Repository, signal: AbortSignal): Promise<void> {
  const command = gitCommand('fsck', { options: ['--connectivity-only', '--dangling'].map(flag) });
  let oids: string[] = [];
  const flush = async (): Promise<void> => {
    if (oids.length > 0) await createReferences(pool, oids, signal);
    oids = [];
  };
  try {
    for await (const lines of outputLines(pool, command, { signal })) {
      for (const line of lines) {
        const [what, , oid] = line.toString('latin1').split(' ');
        if (what !== 'dangling' || oid === undefined) continue;
        if (objectIdProblem(Buffer.from(oid), pool.objectFormat) === undefined) oids.push(oid);
        if (oids.length >= BATCH) await flush();
      }
    }
  } finally {
    if (!signal.aborted) await flush();
  }
}

async function createReferences(
  pool: Repository,
  oids: readonly string[],
  signal: AbortSignal,
): Promise<void> {
  await using transaction = await RefTransaction.start(pool, { signal });
  for (const newOid of oids) await transaction.update(`refs/dangling/${newOid}`, { newOid });
  await transaction.commit();
}
