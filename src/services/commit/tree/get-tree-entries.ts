import { create, type MessageShape } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { normalizePath } from '#base/normalize-path';
import type { RawObject } from '#git/names/object-info';
import { resolveTree } from '#git/trees/resolve-tree';
import { sortEntries } from '#git/trees/sort-entries';
import { MissingTreeError, walkTree } from '#git/trees/walk-tree';
import type { WalkedEntry } from '#git/trees/walked-entry';
import { mayBeOldClient } from '#services/convert/request/old-client';
import { requireRevision } from '#services/convert/request/revision';
import { chunkBatches } from '#services/convert/response/chunk-batches';
import type { Repository } from '#storage/repository';
import {
  GetTreeEntriesErrorSchema,
  type GetTreeEntriesRequest,
  type GetTreeEntriesResponseSchema,
  GetTreeEntriesRequest_SortBy as SortBy,
} from '#wire/gen/commit_pb';
import { PathError_ErrorType as PathProblem } from '#wire/gen/errors_pb';
import type { Handlers } from '../dependencies.ts';
import { encodeTreeEntries, entryBytes, type SentEntry } from './encode-tree-entries.ts';
import { withFlatPaths, withoutFlatPaths } from './flat-entries.ts';
import { invalidObjectIdError } from './invalid-object-id-error.ts';
import { cutTreePage, readTreeToken } from './tree-page.ts';

type Response = MessageShape<typeof GetTreeEntriesResponseSchema>;

const COLON = Buffer.from(':');
const PEEL_TREE = Buffer.from('^{tree}');

/**
 * Lists a directory, or everything below it, in messages of at most 1 MiB. The first one has the
 * cursor of the next page; pages after the first stay on the tree of the first.
 */
export const getTreeEntries: Handlers['getTreeEntries'] = async function* (
  request,
  { signal, headers },
  deps,
) {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision);
  if (request.path.length === 0) throw emptyPath();
  const { recursive, paginationParams: page } = request;
  const tokenTree = readTreeToken(page?.pageToken ?? '').treeOid;

  const path = Buffer.from(request.path);
  const tree = await findTree(repository, request, { name: treeName(revision, path, tokenTree), signal });
  const listing = inOrder(walkTree(repository.objects, tree, { recursive, prefix: cleaned(path), signal }), {
    sort: request.sort,
    signal,
  });
  try {
    const cut = page && (await cutTreePage(listing, page, tree.oid));
    const batches = cut === undefined ? listing : [cut.entries];
    const entries =
      recursive || request.skipFlatPaths
        ? withoutFlatPaths(batches)
        : withFlatPaths(repository.objects, batches, {
            revision: tokenTree === '' ? undefined : revision,
            signal,
          });
    const fillsRoot = deps.fillsOldFields && mayBeOldClient(headers);
    const rootOid = fillsRoot ? await rootTree(repository, revision, signal) : '';
    yield* inMessages(entries, { revision, rootOid, cursor: cut?.nextCursor ?? '' });
  } catch (error) {
    throw error instanceof MissingTreeError
      ? unresolved(request, 'NOT_FOUND', "revision doesn't exist")
      : error;
  }
};

/** Returns the name of the tree to list. The root is requested as `.`. */
function treeName(revision: Buffer, path: Buffer, tokenTree: string): Buffer {
  if (tokenTree !== '') return Buffer.from(`${tokenTree}:`);
  return Buffer.concat([revision, COLON, path.equals(Buffer.from('.')) ? Buffer.alloc(0) : path]);
}

/** Returns the prefix of the entries' names: the path without redundant dots and slashes. */
function cleaned(path: Buffer): Buffer {
  const text = normalizePath(path.toString('latin1')).replace(/\/$/, '');
  return Buffer.from(text === '.' ? '' : text, 'latin1');
}

/**
 * Finds the tree to list. @throws {GitalyError} with GetTreeEntriesError as detail, where clients
 * check it.
 */
async function findTree(
  repository: Repository,
  request: GetTreeEntriesRequest,
  { name, signal }: { readonly name: Buffer; readonly signal: AbortSignal },
): Promise<RawObject> {
  const found = await resolveTree(repository, name, { signal }).catch(
    wrapped('reading tree: getting revision'),
  );
  switch (found.kind) {
    case 'tree':
      return found.tree;
    case 'other':
      throw unresolved(request, 'INVALID_ARGUMENT', 'path not treeish');
    case 'absent':
      if (!found.oid.startsWith('^')) throw unresolved(request, 'NOT_FOUND', "revision doesn't exist");
      throw wrap(invalidObjectIdError(found.oid, repository.objectFormat), 'reading tree: getting revision');
    case 'unknown':
      throw unresolved(
        request,
        request.recursive ? 'NOT_FOUND' : 'INVALID_ARGUMENT',
        'invalid revision or path',
      );
  }
}

function emptyPath(): GitalyError {
  const detail = create(GetTreeEntriesErrorSchema, {
    error: { case: 'path', value: { errorType: PathProblem.EMPTY_PATH } },
  });
  return invalidArgument('empty path', { details: [detail] });
}

function unresolved(
  { revision, path }: GetTreeEntriesRequest,
  code: 'INVALID_ARGUMENT' | 'NOT_FOUND',
  message: string,
): GitalyError {
  const detail = create(GetTreeEntriesErrorSchema, { error: { case: 'resolveTree', value: { revision } } });
  const metadata = { path: Buffer.from(path).toString(), revision: Buffer.from(revision).toString() };
  return new GitalyError(code, message, { details: [detail], metadata });
}

function inOrder(
  batches: AsyncIterable<readonly WalkedEntry[]>,
  { sort, signal }: { readonly sort: SortBy; readonly signal: AbortSignal },
): AsyncIterable<readonly WalkedEntry[]> {
  if (sort === SortBy.TREES_FIRST) return sortEntries(batches, 'kind', signal);
  return sort === SortBy.FILESYSTEM ? sortEntries(batches, 'path', signal) : batches;
}

/** Finds the tree of a revision, which clients of 15.0 get with every entry; empty for none. */
async function rootTree(repository: Repository, revision: Buffer, signal: AbortSignal): Promise<string> {
  const tree = await repository.objects.info(Buffer.concat([revision, PEEL_TREE]), { signal });
  return tree?.oid ?? '';
}

/**
 * Collects entries into messages, the first of which has the cursor. Without entries there is no
 * message.
 */
async function* inMessages(
  batches: AsyncIterable<readonly SentEntry[]>,
  { revision, rootOid, cursor }: { revision: Buffer; rootOid: string; cursor: string },
): AsyncGenerator<Response> {
  // A string on the wire.
  const commitOid = Buffer.from(revision.toString());
  let nextCursor: string | undefined = cursor;
  for await (const chunk of chunkBatches(batches, (sent) => entryBytes(sent, commitOid))) {
    yield encodeTreeEntries(chunk, { revision: commitOid, rootOid, nextCursor });
    nextCursor = undefined;
  }
}
