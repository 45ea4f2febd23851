import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  type CommitDiffQuery,
  commitDiff as compareCommits,
  type UnshownDiff,
} from '#domain/diff/commit-diff';
import type { DiffLimits } from '#domain/diff/diff-limiter';
import type { LimitedDiff } from '#domain/diff/limited-diffs';
import { encodedMessage } from '#wire/fast/encoded-message';
import { fieldNumbers } from '#wire/fast/field-numbers';
import { encodeWith } from '#wire/fast/reverse-writer';
import {
  type CommitDiffRequest,
  CommitDiffRequest_DiffMode,
  CommitDiffRequest_WhitespaceChanges,
  CommitDiffResponseSchema,
} from '#wire/gen/diff_pb';
import type { Handlers } from './dependencies.ts';
import { patchMessages } from './patch-messages.ts';
import { requireSides } from './sides.ts';

type Response = MessageInitShape<typeof CommitDiffResponseSchema>;

/** Compares two commits file by file, within limits fit for a web page. */
export const commitDiff: Handlers['commitDiff'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const sides = requireSides(request);

  const batches = compareCommits(repository, {
    sides,
    limits: limitsOf(request),
    wordDiff: request.diffMode === CommitDiffRequest_DiffMode.WORDDIFF,
    ignoredSpace: ignoredSpaceOf(request),
    signal: context.signal,
  });
  for await (const batch of batches) {
    if ('diffs' in batch) for (const diff of batch.diffs) yield* diffMessages(diff);
    else for (const diff of batch.unshown) yield unshownMessage(diff);
  }
};

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

function ignoredSpaceOf({
  whitespaceChanges,
  ignoreWhitespaceChange,
}: CommitDiffRequest): CommitDiffQuery['ignoredSpace'] {
  switch (whitespaceChanges) {
    case CommitDiffRequest_WhitespaceChanges.UNSPECIFIED:
      return ignoreWhitespaceChange ? 'change' : undefined; // clients of 15.0 use only this
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
    yield isFirst ? encodeFirst(diff, patch, isLast) : { rawPatchData: patch, endOfPatch: isLast };
  }
}

const FIELD = fieldNumbers(CommitDiffResponseSchema, {
  fromPath: 'bytes',
  toPath: 'bytes',
  fromId: 'text',
  toId: 'text',
  oldMode: 'number',
  newMode: 'number',
  binary: 'number',
  rawPatchData: 'bytes',
  endOfPatch: 'number',
  overflowMarker: 'number',
  collapsed: 'number',
  tooLarge: 'number',
  linesAdded: 'number',
  linesRemoved: 'number',
});

/**
 * Encodes the first message of a file. Diffs of thousands of small files spend most of their time
 * here, so the code writes the wire format directly.
 */
function encodeFirst(diff: LimitedDiff, patchPiece: Uint8Array, isLast: boolean): Response {
  const { change, patch, isCollapsed, isTooLarge, isOverflow } = diff;
  const encoded = encodeWith((writer) => {
    writer.number(FIELD.linesRemoved, patch.linesRemoved);
    writer.number(FIELD.linesAdded, patch.linesAdded);
    writer.number(FIELD.tooLarge, Number(isTooLarge));
    writer.number(FIELD.collapsed, Number(isCollapsed));
    writer.number(FIELD.overflowMarker, Number(isOverflow));
    writer.number(FIELD.endOfPatch, Number(isLast));
    writer.bytes(FIELD.rawPatchData, patchPiece);
    writer.number(FIELD.binary, Number(patch.isBinary));
    writer.number(FIELD.newMode, change.newMode);
    writer.number(FIELD.oldMode, change.oldMode);
    writer.text(FIELD.toId, change.toOid);
    writer.text(FIELD.fromId, change.fromOid);
    writer.bytes(FIELD.toPath, change.toPath);
    writer.bytes(FIELD.fromPath, change.fromPath);
  });
  return encodedMessage(CommitDiffResponseSchema, encoded);
}

/**
 * Builds the message of a diff that is not shown. Both paths are the new one, also for a rename (as
 * in Gitaly).
 */
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
