import { GitalyError, wrap } from '#base/gitaly-error';
import { OutputBeforeFailure } from '#git/command/output';
import type { IgnoredSpace } from '#git/diff/commands';
import { diffPairs } from '#git/diff/diff-pairs';
import type { KnownChange } from '#git/diff/known-change';
import { DiffFormatError } from '#git/diff/parse/diff-format-error';
import { type FileDiff, parsePatches } from '#git/diff/parse/parse-diff';
import { type ChangedPath, splitTypeChange } from '#git/diff/parse/raw-line';
import { quotePath } from '#git/names/quote-path';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import type { BlobDiff } from './blob-diff.ts';

export interface KnownChangesOptions {
  readonly wordDiff: boolean;
  readonly ignoredSpace: IgnoredSpace | undefined;
  /**
   * Limit of a patch, beyond which it is dropped; 0 means no limit, and a negative limit drops
   * every patch.
   */
  readonly maxPatchBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Compares the blobs of known changes, in order, with one process; a type change gives two results.
 * If git fails, the changes are returned nevertheless, without patches, followed by the error.
 *
 * @throws {GitalyError} `waiting for git-diff-pairs: exit status 128`, INTERNAL.
 */
export async function* diffKnownChanges(
  repository: Repository,
  changes: readonly KnownChange[],
  { wordDiff, ignoredSpace, maxPatchBytes, signal }: KnownChangesOptions,
): AsyncGenerator<BlobDiff> {
  await using scratch = repository.git.capabilities.diffPairs
    ? undefined
    : await createTempDirectory(repository.storage, 'diff-blobs-');
  const patches = diffPairs(repository, changes, {
    wordDiff,
    ignoredSpace,
    scratchDirectory: scratch?.path,
    signal,
  });
  const output = new OutputBeforeFailure(patches, signal);
  const isWanted = ({ patchBytes }: { readonly patchBytes: number }) =>
    maxPatchBytes === 0 || patchBytes <= maxPatchBytes;
  const take = ({ change, patch }: FileDiff): BlobDiff => {
    const { isBinary, linesAdded, linesRemoved } = patch;
    // Without diff-pairs both sides have the old path.
    const hasOldPath = scratch !== undefined && (change.status === 'R' || change.status === 'C');
    const pieces = isBinary && hasOldPath ? [binaryText(change)] : patch.pieces;
    const patchBytes = isBinary && hasOldPath ? lengthOf(pieces) : patch.patchBytes;
    const isPresent = patch.isPresent || (hasOldPath && isOnlyRenamed(change));
    const isOverLimit = isPresent && !isWanted({ patchBytes });
    const shown = isOverLimit ? [] : pieces;
    return {
      leftOid: change.fromOid,
      rightOid: change.toOid,
      isBinary,
      isOverLimit,
      patchBytes,
      linesAdded,
      linesRemoved,
      pieces: shown,
    };
  };
  try {
    for await (const batch of parsePatches(output, changes.flatMap(expected), {
      rulesFor: () => ({ isWanted }),
      take,
    }))
      yield* batch;
  } catch (error) {
    throw error instanceof DiffFormatError ? wrap(error, 'parsing diff') : error;
  }
  const { failure } = output;
  if (failure !== undefined) {
    throw new GitalyError('INTERNAL', `waiting for git-diff-pairs: ${failure.message}`, {
      cause: failure,
      metadata: { stderr: failure.stderr },
    });
  }
}

function expected({
  status = 'X',
  oldMode,
  newMode,
  oldOid,
  newOid,
  path,
  oldPath,
}: KnownChange): ChangedPath[] {
  return splitTypeChange({
    status,
    oldMode,
    newMode,
    fromOid: oldOid,
    toOid: newOid,
    fromPath: oldPath ?? path,
    toPath: path,
  });
}

/**
 * Reports whether a file was only renamed: `diff-pairs` prints a header for it, and a diff of a
 * path with itself prints nothing.
 */
function isOnlyRenamed({ oldMode, newMode, fromOid, toOid }: ChangedPath): boolean {
  return newMode !== 0 && oldMode === newMode && fromOid === toOid;
}

function binaryText({ fromPath, toPath }: ChangedPath): Buffer {
  const [from, to] = [
    Buffer.concat([Buffer.from('a/'), fromPath]),
    Buffer.concat([Buffer.from('b/'), toPath]),
  ];
  return Buffer.concat([
    Buffer.from('Binary files '),
    quotePath(from),
    Buffer.from(' and '),
    quotePath(to),
    Buffer.from(' differ\n'),
  ]);
}

function lengthOf(pieces: readonly Buffer[]): number {
  return pieces.reduce((sum, { length }) => sum + length, 0);
}
