import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { GitExitError } from '#git/command/process/exit-error';
import { createRepository } from '#storage/lifecycle/create-repository';
import { moveAway } from '#storage/lifecycle/move-away';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import type { RemoteRepository } from '../remote/server/remote-repository.ts';
import { DRAFT_OF_SNAPSHOT, extractSnapshot } from '../snapshot/extract-snapshot.ts';
import type { ReplicateOptions } from './replicate-options.ts';
import { invalidSource, isInvalidSource } from './require-source.ts';

/**
 * Creates a repository from a snapshot of the source. Anything that is no repository is moved away
 * from the path first.
 */
export async function createFromSource(
  storages: Storages,
  target: RepositoryTarget,
  source: RemoteRepository,
  options: ReplicateOptions,
): Promise<Repository> {
  const movedTo = await moveAway(storages, target);
  if (movedTo !== undefined) options.onMovedAway(movedTo);
  return await createFromRemoteSnapshot(storages, target, source, options);
}

/** Creates a repository from a snapshot of the source. Nothing may be at its path. */
export async function createFromRemoteSnapshot(
  storages: Storages,
  target: RepositoryTarget,
  source: RemoteRepository,
  { vote, signal }: Pick<ReplicateOptions, 'vote' | 'signal'>,
): Promise<Repository> {
  const seed = async (draft: Repository): Promise<void> => {
    await extractSnapshot(snapshotOf(source), draft, { signal }).catch((error: unknown) => {
      throw error instanceof InvalidSourceError ? error.status : wrap(error, 'extracting snapshot');
    });
    await requireHead(draft, signal);
  };
  return await createRepository(storages, target, { ...DRAFT_OF_SNAPSHOT, vote, signal, seed }).catch(
    wrapped('creating repository'),
  );
}

/** The source is no repository, or none any more; `status` is for the client. */
class InvalidSourceError extends Error {
  override readonly name = 'InvalidSourceError';
  readonly status = invalidSource(this);
}

async function* snapshotOf(source: RemoteRepository): AsyncGenerator<Uint8Array> {
  let isFirst = true;
  try {
    for await (const data of source.snapshot()) {
      isFirst = false;
      yield data;
    }
  } catch (error) {
    if (!isFirst || !isInvalidSource(error)) throw error;
    throw new InvalidSourceError('invalid source', { cause: error });
  }
}

/** Returns the status for a source that turned out to be no repository; `undefined` for other errors. */
export function invalidSourceIn(error: unknown): GitalyError | undefined {
  for (let each = error; each instanceof Error; each = each.cause)
    if (each instanceof InvalidSourceError) return each.status;
  return undefined;
}

/** Refuses a copy that git would not take for a repository, with the text of Gitaly's vote on it. */
async function requireHead(draft: Repository, signal: AbortSignal): Promise<void> {
  try {
    await draft.refs.head({ signal });
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    const stderr = quote(`fatal: not a git repository: '${draft.path}'\n`);
    const message = `vote on references: running for-each-ref: ${error.message}, stderr: ${stderr}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  }
}
