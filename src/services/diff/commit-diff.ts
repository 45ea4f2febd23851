import type { MessageInitShape } from '@bufbuild/protobuf';
import { type CommitDiffQuery, commitDiff as compareCommits, type UnshownDiff } from '#domain/diff-limits/commit-diff';
import type { DiffLimits } from '#domain/diff-limits/diff-limiter';
import type { LimitedDiff } from '#domain/diff-limits/limited-diffs';
import type { HandlerContext } from '#rpc/server/handler';
import {
  type CommitDiffRequest,
  CommitDiffRequest_DiffMode,
  CommitDiffRequest_WhitespaceChanges,
  type CommitDiffResponseSchema,
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

  const diffs = compareCommits(repository, {
    sides,
    limits: limitsOf(request),
    wordDiff: request.diffMode === CommitDiffRequest_DiffMode.WORDDIFF,
    ignoredSpace: ignoredSpaceOf(request.whitespaceChanges),
    signal: context.signal,
  });
  for await (const diff of diffs) {
    if ('record' in diff) yield unshownMessage(diff);
    else yield* diffMessages(diff);
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

function ignoredSpaceOf(changes: CommitDiffRequest_WhitespaceChanges): CommitDiffQuery['ignoredSpace'] {
  switch (changes) {
    case CommitDiffRequest_WhitespaceChanges.UNSPECIFIED:
      return undefined;
    case CommitDiffRequest_WhitespaceChanges.IGNORE:
      return 'change';
    case CommitDiffRequest_WhitespaceChanges.IGNORE_ALL:
      return 'all';
    default:
      return 'none';
  }
}

function* diffMessages(diff: LimitedDiff): Generator<Response> {
  if (diff.isCutOff) {
    yield { overflowMarker: true, endOfPatch: true };
    return;
  }
  for (const { patch, isFirst, isLast } of patchMessages(diff.pieces)) {
    yield { ...(isFirst && headOf(diff)), rawPatchData: patch, endOfPatch: isLast };
  }
}

function headOf({ change, patch, isCollapsed, isTooLarge, isOverflow }: LimitedDiff): Response {
  return {
    fromPath: change.fromPath,
    toPath: change.toPath,
    fromId: change.fromOid,
    toId: change.toOid,
    oldMode: change.oldMode,
    newMode: change.newMode,
    binary: patch.isBinary,
    overflowMarker: isOverflow,
    collapsed: isCollapsed,
    tooLarge: isTooLarge,
    linesAdded: patch.linesAdded,
    linesRemoved: patch.linesRemoved,
  };
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
