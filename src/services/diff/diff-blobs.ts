import type { MessageInitShape } from '@bufbuild/protobuf';
import { eachInTurn, mapInTurns } from '#base/async/loop-turns';
import { invalidArgument, withCode } from '#base/gitaly-error';
import type { BlobDiff } from '#domain/diff/blob-diff';
import { diffBlobPairs } from '#domain/diff/blob-pairs';
import { diffKnownChanges } from '#domain/diff/known-changes';
import { resolveBlobPairs } from '#domain/diff/resolve-blob-pairs';
import type { IgnoredSpace } from '#git/diff/commands';
import type { KnownChange } from '#git/diff/known-change';
import type { ChangeStatus } from '#git/diff/parse/raw-line';
import { ZERO_OID } from '#git/names/object-id';
import { requireObjectId } from '#services/convert/request/object-id';
import type { Repository } from '#storage/repository';
import {
  type ChangedPaths,
  type DiffBlobsRequest,
  DiffBlobsResponse_Status,
  type DiffBlobsResponseSchema,
  DiffBlobsRequest_DiffMode as DiffMode,
  ChangedPaths_Status as Status,
  DiffBlobsRequest_WhitespaceChanges as WhitespaceChanges,
} from '#wire/gen/diff_pb';
import type { Handlers } from './dependencies.ts';
import { patchMessages } from './patch-messages.ts';

type Response = MessageInitShape<typeof DiffBlobsResponseSchema>;

const STATUSES: Readonly<Partial<Record<Status, ChangeStatus>>> = {
  [Status.ADDED]: 'A',
  [Status.MODIFIED]: 'M',
  [Status.DELETED]: 'D',
  [Status.TYPE_CHANGE]: 'T',
  [Status.COPIED]: 'C',
  [Status.RENAMED]: 'R',
};

/** Compares pairs of blobs, named by their ids or paths, or as FindChangedPaths gives them. */
export const diffBlobs: Handlers['diffBlobs'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository, { otherwise: 'INTERNAL' });
  await checkRequest(request);

  const { patchBytesLimit: maxPatchBytes } = request;
  const { signal } = context;
  const options = { wordDiff: request.diffMode === DiffMode.WORD, maxPatchBytes, signal };
  if (request.blobPairs.length > 0) {
    const pairs = await resolvePairs(repository, request, signal);
    for await (const diff of diffBlobPairs(repository, pairs, options)) yield* messagesOf(diff);
  } else {
    const ignoredSpace = ignoredSpaceOf(request.whitespaceChanges);
    const changes = await mapInTurns(request.rawInfo, changeOf);
    for await (const diff of diffKnownChanges(repository, changes, { ...options, ignoredSpace }))
      yield* messagesOf(diff);
  }
};

async function checkRequest({ blobPairs, rawInfo, whitespaceChanges }: DiffBlobsRequest): Promise<void> {
  if (blobPairs.length === 0 && rawInfo.length === 0)
    throw invalidArgument('request contains no file pairs to diff');
  if (blobPairs.length > 0 && rawInfo.length > 0)
    throw invalidArgument('blob pairs and raw info both used in request');
  await eachInTurn(rawInfo, checkEntry);
  if (whitespaceChanges !== WhitespaceChanges.UNSPECIFIED && blobPairs.length > 0) {
    throw invalidArgument('whitespace changes cannot be ignored when blob pairs are provided');
  }
}

function checkEntry({ oldBlobId, newBlobId, path, oldPath, status }: ChangedPaths): void {
  if (oldBlobId === '' || newBlobId === '') throw invalidArgument('raw info entry missing blob IDs');
  if (path.length === 0) throw invalidArgument('raw info entry missing path');
  if ((status === Status.RENAMED || status === Status.COPIED) && oldPath.length === 0) {
    throw invalidArgument('rename/copy raw info entry missing old path');
  }
}

async function resolvePairs(repository: Repository, { blobPairs }: DiffBlobsRequest, signal: AbortSignal) {
  let format: 'sha1' | 'sha256';
  try {
    format = repository.objectFormat;
  } catch (error) {
    throw withCode(error, 'INTERNAL');
  }
  const zeroOid = ZERO_OID[format];
  return await resolveBlobPairs(repository.objects, blobPairs, {
    signal,
    zeroOid,
    requireOid: (text) => requireObjectId(text, format),
  });
}

function ignoredSpaceOf(changes: WhitespaceChanges): IgnoredSpace | undefined {
  if (changes === WhitespaceChanges.IGNORE) return 'change';
  return changes === WhitespaceChanges.IGNORE_ALL ? 'all' : undefined;
}

function changeOf({
  status,
  oldMode,
  newMode,
  oldBlobId,
  newBlobId,
  path,
  oldPath,
}: ChangedPaths): KnownChange {
  return {
    status: STATUSES[status],
    oldMode,
    newMode,
    oldOid: oldBlobId,
    newOid: newBlobId,
    path: Buffer.from(path),
    oldPath: oldPath.length === 0 ? undefined : Buffer.from(oldPath),
  };
}

function* messagesOf(diff: BlobDiff): Generator<Response> {
  for (const { patch, isFirst, isLast } of patchMessages(diff.pieces)) {
    yield {
      ...(isFirst && headOf(diff)),
      patch,
      status: isLast ? DiffBlobsResponse_Status.END_OF_PATCH : DiffBlobsResponse_Status.INCOMPLETE,
    };
  }
}

function headOf({
  leftOid,
  rightOid,
  isBinary,
  isOverLimit,
  patchBytes,
  linesAdded,
  linesRemoved,
}: BlobDiff): Response {
  return {
    leftBlobId: leftOid,
    rightBlobId: rightOid,
    binary: isBinary,
    overPatchBytesLimit: isOverLimit,
    patchSize: patchBytes,
    linesAdded,
    linesRemoved,
  };
}
