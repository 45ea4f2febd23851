import type { MessageInitShape } from '@bufbuild/protobuf';
import { invalidArgument } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { type RawChange, rawChanges } from '#domain/diff/raw-changes';
import type { ChangeStatus } from '#git/diff/parse/raw-line';
import { EMPTY_TREE, ZERO_OID } from '#git/names/object-id';
import { chunkMessages } from '#services/convert/response/chunk-messages';
import type { Repository } from '#storage/repository';
import {
  GetRawChangesResponse_RawChangeSchema,
  GetRawChangesResponse_RawChange_Operation as Operation,
} from '#wire/gen/repository_pb';
import type { Handlers } from '../dependencies.ts';

type Message = MessageInitShape<typeof GetRawChangesResponse_RawChangeSchema>;

const OPERATIONS: Readonly<Partial<Record<ChangeStatus, Operation>>> = {
  A: Operation.ADDED,
  C: Operation.COPIED,
  D: Operation.DELETED,
  M: Operation.MODIFIED,
  R: Operation.RENAMED,
  T: Operation.TYPE_CHANGED,
};

/**
 * Lists the files that differ between two revisions, with the sizes of their blobs. An id of zeros
 * is a tree without files; compared with it as the second revision, nothing differs.
 */
export const getRawChanges: Handlers['getRawChanges'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const { signal } = context;
  const { fromRevision, toRevision } = request;
  const zero = ZERO_OID[repository.objectFormat];
  const from = await requireObject(repository, fromRevision, { side: 'from', signal });
  const to = await requireObject(repository, toRevision, { side: 'to', signal });
  if (toRevision === zero) return;

  const changes = each(rawChanges(repository, { from, to }, signal));
  const schema = GetRawChangesResponse_RawChangeSchema;
  for await (const chunk of chunkMessages(schema, changes, sizeBound)) yield { rawChanges: chunk };
};

/** Resolves a revision. @throws {GitalyError} INVALID_ARGUMENT `invalid 'from' revision: "x"`. */
async function requireObject(
  repository: Repository,
  revision: string,
  { side, signal }: { readonly side: 'from' | 'to'; readonly signal: AbortSignal },
): Promise<string> {
  const { objectFormat } = repository;
  if (revision === ZERO_OID[objectFormat]) return EMPTY_TREE[objectFormat];
  const object = revision === '' ? undefined : await repository.objects.info(revision, { signal });
  // git takes the name of a file from the revision of a blob: `main:dir/file`.
  if (object !== undefined) return object.type === 'blob' ? revision : object.oid;
  throw invalidArgument(`invalid '${side}' revision: ${quote(revision)}`);
}

async function* each(batches: AsyncIterable<readonly RawChange[]>): AsyncGenerator<Message> {
  for await (const changes of batches) for (const change of changes) yield toMessage(change);
}

function toMessage({ record, blob }: RawChange): Message {
  const { newMode, path, oldPath, sources } = record;
  const [{ status, mode: oldMode }] = sources;
  return {
    blobId: blob?.oid ?? '',
    size: BigInt(blob?.sizeBytes ?? 0),
    operation: OPERATIONS[status] ?? Operation.UNKNOWN,
    oldMode,
    newMode,
    ...(status !== 'D' && { newPathBytes: path }),
    ...(status !== 'A' && { oldPathBytes: oldPath ?? path }),
  };
}

/** Returns a number that the encoded size never exceeds. */
function sizeBound({ blobId = '', newPathBytes, oldPathBytes }: Message): number {
  return 64 + blobId.length + (newPathBytes?.length ?? 0) + (oldPathBytes?.length ?? 0);
}
