import type { MessageInitShape } from '@bufbuild/protobuf';
import { type CommitDiffQuery, commitDiff as compareCommits, type UnshownDiff } from '#domain/diff-limits/commit-diff';
import type { DiffLimits } from '#domain/diff-limits/diff-limiter';
import type { LimitedDiff } from '#domain/diff-limits/limited-diffs';
import type { HandlerContext } from '#rpc/server/handler';
import { encodedMessage } from '#wire/fast/encoded-message';
import { ReverseWriter } from '#wire/fast/reverse-writer';
import {
  type CommitDiffRequest,
  CommitDiffRequest_DiffMode,
  CommitDiffRequest_WhitespaceChanges,
  CommitDiffResponseSchema,
} from '#wire/gen/diff_pb';
import type { DiffRooms } from './index.ts';
import { patchMessages } from './patch-messages.ts';
import { requireSides } from './sides.ts';

type Response = MessageInitShape<typeof CommitDiffResponseSchema>;

/** Compares two commits file by file, within limits fit for a web page. */
export async function* commitDiff(
  request: CommitDiffRequest,
  context: HandlerContext,
  rooms: DiffRooms,
): AsyncGenerator<Response> {
  const repository = rooms.storages.open(request.repository);
  const sides = requireSides(request);

  const batches = compareCommits(repository, {
    sides,
    limits: limitsOf(request),
    wordDiff: request.diffMode === CommitDiffRequest_DiffMode.WORDDIFF,
    ignoredSpace: ignoredSpaceOf(request),
    signal: context.signal,
  });
  const writer = new ReverseWriter();
  for await (const batch of batches) {
    if ('diffs' in batch) for (const diff of batch.diffs) yield* diffMessages(diff, writer);
    else for (const diff of batch.unshown) yield unshownMessage(diff);
  }
}

function limitsOf(request: CommitDiffRequest): DiffLimits {
  return {
    enforce: request.enforceLimits,
    collapse: request.collapseDiffs,
    collectAllPaths: request.collectAllPaths,
    maxFiles: request.maxFiles,
    maxLines: request.maxLines,
    maxBytes: request.maxBytes,
    safeMaxFiles: request.safeMaxFiles,
    safeMaxLines: request.safeMaxLines,
    safeMaxBytes: request.safeMaxBytes,
    maxPatchBytes: request.maxPatchBytes,
    maxPatchBytesFor: new Map(Object.entries(request.maxPatchBytesForFileExtension)),
  };
}

function ignoredSpaceOf({ whitespaceChanges, ignoreWhitespaceChange }: CommitDiffRequest): CommitDiffQuery['ignoredSpace'] {
  switch (whitespaceChanges) {
    case CommitDiffRequest_WhitespaceChanges.UNSPECIFIED:
      return ignoreWhitespaceChange ? 'change' : undefined; // clients of 15.0 know only this
    case CommitDiffRequest_WhitespaceChanges.IGNORE:
      return 'change';
    case CommitDiffRequest_WhitespaceChanges.IGNORE_ALL:
      return 'all';
    default:
      return 'none';
  }
}

function* diffMessages(diff: LimitedDiff, writer: ReverseWriter): Generator<Response> {
  if (diff.isCutOff) {
    yield { overflowMarker: true, endOfPatch: true };
    return;
  }
  for (const { patch, isFirst, isLast } of patchMessages(diff.pieces)) {
    yield isFirst ? encodeFirst(diff, patch, isLast, writer) : { rawPatchData: patch, endOfPatch: isLast };
  }
}

/** Diffs of thousands of small files spend most of their time here, so it is done by hand. */
function encodeFirst(diff: LimitedDiff, patchPiece: Uint8Array, isLast: boolean, writer: ReverseWriter): Response {
  const { change, patch, isCollapsed, isTooLarge, isOverflow } = diff;
  writer.number(15, patch.linesRemoved);
  writer.number(14, patch.linesAdded);
  writer.number(13, Number(isTooLarge));
  writer.number(12, Number(isCollapsed));
  writer.number(11, Number(isOverflow));
  writer.number(10, Number(isLast));
  writer.bytes(9, patchPiece);
  writer.number(7, Number(patch.isBinary));
  writer.number(6, change.newMode);
  writer.number(5, change.oldMode);
  writer.text(4, change.toOid);
  writer.text(3, change.fromOid);
  writer.bytes(2, change.toPath);
  writer.bytes(1, change.fromPath);
  return encodedMessage(CommitDiffResponseSchema, writer.take());
}

/** Both paths are the new one, also of a rename (as in Gitaly). */
function unshownMessage({ record, stat }: UnshownDiff): Response {
  const [source] = record.sources;
  return {
    fromPath: record.path,
    toPath: record.path,
    fromId: source.oid,
    toId: record.newOid,
    oldMode: source.mode,
    newMode: record.newMode,
    linesAdded: stat?.additions ?? 0,
    linesRemoved: stat?.deletions ?? 0,
    endOfPatch: true,
  };
}
