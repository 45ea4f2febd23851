import { readFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError } from '#base/gitaly-error';
import { versionWith } from '#git/command/capabilities';
import type { StoredBackend } from '#git/repository-files/repository-format';
import { beginMoves, endMigration, moveReferences } from '#storage/lifecycle/reference-files';
import { type Vote, type VotePhase, voteHash } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import { excludeChanges } from '#storage/locks/write-exclusion';
import type { Repository } from '#storage/repository';
import type { RecordedRuns } from '../housekeeping/maintenance-runs.ts';
import { draftReferences, type ReferencesDraft } from './draft-references.ts';

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

interface SwitchOptions {
  readonly target: StoredBackend;
  readonly signal: AbortSignal;
}

const CONFIG_MODE = 0o644;
/**
 * Time for which the old references stay readable: a git that has read the old config file opens
 * them next.
 */
const OLD_READERS_MS = 500;

/**
 * Makes the references of a draft those of the repository, by one rename of the config file. The
 * old ones stay, unused; an abort before the rename changes nothing.
 */
async function switchReferences(
  repository: Repository,
  draft: ReferencesDraft,
  { target, signal }: SwitchOptions,
): Promise<void> {
  signal.throwIfAborted();
  await beginMoves(draft.path, target);
  await moveReferences(repository.path, draft.path, target);
  await replaceLocked(`${repository.path}/config`, await readFile(`${draft.path}/config`), {
    mode: CONFIG_MODE,
  });
  await delay(OLD_READERS_MS);
}
