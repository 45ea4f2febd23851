import { cleanWorktrees } from '#domain/worktrees/clean-worktrees';
import { flag, gitCommand } from '#git/command/git-command';
import { isPoolPath } from '#storage/pool-path';
import type { Repository } from '#storage/repository';
import { repackConfig } from '../commands/repack.ts';
import type { Housekeeping } from '../housekeeping.ts';
import { mendKeepAroundReferences } from './mend-keep-around.ts';
import { updateCommitGraph } from './update-commit-graph.ts';

export interface CollectGarbageOptions {
  readonly writeBitmap: boolean;
  /** Also drops unreachable objects that are older than half an hour; otherwise git decides. */
  readonly prune: boolean;
  /** Receives the reason why stale data were not removed. */
  readonly onStaleDataLeft: (error: unknown) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs `git gc` and everything around it that GarbageCollect of 15.0 does. A pool keeps all its
 * objects.
 */
export async function collectGarbage(
  housekeeping: Housekeeping,
  repository: Repository,
  { writeBitmap, prune, onStaleDataLeft, signal }: CollectGarbageOptions,
): Promise<void> {
  await cleanWorktrees(repository, { signal });
  await mendKeepAroundReferences(repository, signal);
  await housekeeping.cleanStaleData(repository, { signal }).catch(onStaleDataLeft);

  const options = isPoolPath(repository.relativePath)
    ? [flag('--no-prune')]
    : prune
      ? [flag('--prune=30.minutes.ago')]
      : [];
  const config = [
    ...repackConfig(repository, writeBitmap),
    // It is written below, with filters.
    { key: 'gc.writeCommitGraph', value: 'false' },
  ];
  await repository.run(gitCommand('gc', { options }), { config, signal });
  repository.caches.release(repository);
  await updateCommitGraph(repository, signal);
}
