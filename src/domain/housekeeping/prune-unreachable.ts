import { invalidArgument, wrap } from '#base/gitaly-error';
import { readAlternates } from '#storage/alternates';
import { isPoolPath } from '#storage/pool-path';
import type { Repository } from '#storage/repository';
import { pruneObjects } from './commands/prune.ts';
import { repack } from './commands/repack.ts';
import { writeCommitGraph } from './commands/write-commit-graph.ts';
import type { Housekeeping } from './housekeeping.ts';

/** Age at which unreachable objects are dropped on request. Changes under way need younger ones. */
const MIN_AGE_MS = 30 * 60 * 1000;

/**
 * Drops the unreachable objects of a repository, loose and packed.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `pruning objects for object pool`; `pruning objects: …`,
 *   `repacking objects: …`, `rewriting commit-graph: …`; as {@link Housekeeping.exclusively}.
 */
export async function pruneUnreachable(
  housekeeping: Housekeeping,
  repository: Repository,
  signal: AbortSignal,
): Promise<void> {
  if (isPoolPath(repository.relativePath)) throw invalidArgument('pruning objects for object pool');
  const alternates = await readAlternates(repository.path);
  const writeBitmap = alternates === undefined || alternates.objectDirectories.length === 0;
  const expireBeforeMs = Date.now() - MIN_AGE_MS;
  const prefixed = (doing: string) => (error: unknown) => {
    throw wrap(error, doing);
  };
  await housekeeping.exclusively(repository, signal, async (running) => {
    await pruneObjects(repository, { expireBeforeMs }, running).catch(prefixed('pruning objects'));
    const plan = {
      strategy: 'full_with_cruft',
      writeBitmap,
      writeMultiPackIndex: true,
      expireBeforeMs,
    } as const;
    await repack(repository, plan, running).catch(prefixed('repacking objects'));
    // It must not list commits that are gone.
    await writeCommitGraph(repository, { replaceChain: true }, running).catch(
      prefixed('rewriting commit-graph'),
    );
  });
}
