import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { GitExitError } from '#git/command/exit-error';
import { resolveTree } from '#git/trees/resolve-tree';
import { MissingTreeError, walkTree } from '#git/trees/walk-tree';
import type { WalkedEntry } from '#git/trees/walked-entry';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import { fieldBytes } from '#wire/fast/fields';
import type { ListFilesRequest, ListFilesResponseSchema } from '#wire/gen/commit_pb';
import { chunkBatches } from '../convert/chunk-batches.ts';
import { requireRevision } from '../convert/revision.ts';
import type { CommitRooms } from './index.ts';
import { strangeObjectId } from './strange-object-id.ts';

type Response = MessageInitShape<typeof ListFilesResponseSchema>;

/**
 * Lists the paths of all files below the tree of a revision, links among them, submodules not. A revision that git does not know gives
 * one empty message; one without a tree, or with holes in it, what there is.
 */
export async function* listFiles(
  request: ListFilesRequest,
  { signal }: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<Response> {
  const repository = rooms.storages.open(request.repository);
  const given = requireRevision(request.revision, { allowEmpty: true });

  const revision = given.length > 0 ? given : await defaultBranch(repository, signal);
  const found = await resolveTree(repository.git, repository, revision, { peel: true, signal });
  if (found.kind === 'unknown') yield {};
  else if (found.kind === 'tree') {
    const files = pathsOf(walkTree(repository.objects, found.tree, { recursive: true, signal }));
    for await (const paths of chunkBatches(files, ({ length }) => fieldBytes(length))) yield { paths };
  } else if (found.kind === 'absent' && found.oid.startsWith('^')) {
    throw strangeObjectId(found.oid, repository.git.objectFormat(repository));
  }
}

async function defaultBranch({ refs }: Repository, signal: AbortSignal): Promise<Buffer> {
  const branch = await refs.defaultBranch({ signal }).catch((error: unknown) => {
    if (signal.aborted || !(error instanceof GitExitError)) throw error;
    throw new GitalyError('NOT_FOUND', 'revision not found ""', { cause: error });
  });
  if (branch === undefined) throw new GitalyError('FAILED_PRECONDITION', 'repository does not have a default branch');
  return branch;
}

/** The paths of the files, up to a directory that is missing. */
async function* pathsOf(batches: AsyncIterable<readonly WalkedEntry[]>): AsyncGenerator<Buffer[]> {
  try {
    for await (const batch of batches) yield batch.filter(({ kind }) => kind === 'blob').map(({ path }) => path);
  } catch (error) {
    if (!(error instanceof MissingTreeError)) throw error;
  }
}
