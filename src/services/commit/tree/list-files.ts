import { GitalyError } from '#base/gitaly-error';
import { GitExitError } from '#git/command/process/exit-error';
import { resolveTree } from '#git/trees/resolve-tree';
import { MissingTreeError, walkTree } from '#git/trees/walk-tree';
import type { WalkedEntry } from '#git/trees/walked-entry';
import { requireRevision } from '#services/convert/request/revision';
import { chunkBatches } from '#services/convert/response/chunk-batches';
import type { Repository } from '#storage/repository';
import { fieldBytes } from '#wire/fast/fields';
import type { Handlers } from '../dependencies.ts';
import { invalidObjectIdError } from './invalid-object-id-error.ts';

/**
 * Lists the paths of all files below the tree of a revision, links among them, submodules not. A
 * revision that git does not know gives one empty message; one without a tree, or with holes in it,
 * what there is.
 */
export const listFiles: Handlers['listFiles'] = async function* (request, { signal }, deps) {
  const repository = deps.storages.open(request.repository);
  const given = requireRevision(request.revision, { allowEmpty: true });

  const revision = given.length > 0 ? given : await defaultBranch(repository, signal);
  const found = await resolveTree(repository, revision, { peel: true, signal });
  if (found.kind === 'unknown') yield {};
  else if (found.kind === 'tree') {
    const files = pathsOf(walkTree(repository.objects, found.tree, { recursive: true, signal }));
    for await (const paths of chunkBatches(files, ({ length }) => fieldBytes(length))) yield { paths };
  } else if (found.kind === 'absent' && found.oid.startsWith('^')) {
    throw invalidObjectIdError(found.oid, repository.objectFormat);
  }
};

async function defaultBranch({ refs }: Repository, signal: AbortSignal): Promise<Buffer> {
  const branch = await refs.defaultBranch({ signal }).catch((error: unknown) => {
    if (signal.aborted || !(error instanceof GitExitError)) throw error;
    throw new GitalyError('NOT_FOUND', 'revision not found ""', { cause: error });
  });
  if (branch === undefined)
    throw new GitalyError('FAILED_PRECONDITION', 'repository does not have a default branch');
  return branch;
}

/** Yields the paths of the files, up to a missing directory. */
async function* pathsOf(batches: AsyncIterable<readonly WalkedEntry[]>): AsyncGenerator<Buffer[]> {
  try {
    for await (const batch of batches)
      yield batch.filter(({ kind }) => kind === 'blob').map(({ path }) => path);
  } catch (error) {
    if (!(error instanceof MissingTreeError)) throw error;
  }
}
