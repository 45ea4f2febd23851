import { GitalyError } from '#base/gitaly-error';
import { versionWith } from '#git/command/capabilities';
import type { StoredBackend } from '#git/repository-files/repository-format';
import { endMigration } from '#storage/lifecycle/reference-files';
import type { Vote, VotePhase } from '#storage/lifecycle/voter';
import { excludeChanges } from '#storage/locks/write-exclusion';
import type { Repository } from '#storage/repository';
import type { RecordedRuns } from '../housekeeping/maintenance-runs.ts';
import { voteHash } from '../transactions/voter.ts';
import { draftReferences } from './draft-references.ts';
import { switchReferences } from './switch-references.ts';

export interface MigrateOptions {
  readonly maintenance: RecordedRuns;
  readonly vote: Vote | undefined;
  readonly signal: AbortSignal;
}

/**
 * Changes the format in which the references of a repository are stored, while all changes of it
 * wait. git prepares the references next to the old ones, and lists both for comparison; one rename
 * of the config file is the change. Whenever the process dies, all references are there in one of
 * the formats.
 *
 * @returns false for a repository that has the format.
 * @throws {GitalyError} FAILED_PRECONDITION for an old git, INTERNAL `running refs migrate: …` as
 *   git refuses (worktrees), and as {@link excludeChanges}. Nothing has changed then.
 */
export async function migrateReferences(
  repository: Repository,
  target: StoredBackend,
  { maintenance, vote, signal }: MigrateOptions,
): Promise<boolean> {
  if (repository.referenceBackend === target) return false;
  if (!repository.git.capabilities.refsMigrate)
    throw new GitalyError(
      'FAILED_PRECONDITION',
      `migrating references needs git ${versionWith('refsMigrate')} or newer`,
    );
  const cast = async (sum: string, ...phases: readonly VotePhase[]): Promise<void> => {
    for (const phase of phases) await vote?.(phase, voteHash(`migrate references to ${target} ${sum}`));
  };
  // Packing references is a change, too, and one that may take long.
  using _run = await maintenance.takeOver(repository, signal);
  await using _exclusion = await excludeChanges(repository, signal);
  if (repository.referenceBackend === target) return false;
  repository.caches.forget(repository);
  const draft = await draftReferences(repository, target, signal);
  try {
    await cast(draft.sum, 'preparing', 'prepared');
    await switchReferences(repository, draft, { target, signal });
  } finally {
    await endMigration(repository.path, draft.path);
    repository.caches.forget(repository);
  }
  await cast(draft.sum, 'committed');
  return true;
}
