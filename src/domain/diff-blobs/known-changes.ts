import { GitalyError, wrap } from '#base/gitaly-error';
import { OutputBeforeFailure } from '#git/command/output-bytes';
import type { IgnoredSpace } from '#git/diff/commands';
import { DiffFormatError } from '#git/diff/diff-format-error';
import { diffPairs, type KnownChange } from '#git/diff/diff-pairs';
import { parsePatches } from '#git/diff/parse-diff';
import { type FileChange, splitTypeChange } from '#git/diff/raw-line';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import type { BlobDiff } from './blob-diff.ts';

export interface KnownChangesOptions {
  readonly wordDiff: boolean;
  readonly ignoredSpace: IgnoredSpace | undefined;
  /** Longer patches are dropped; 0 is no limit, and everything is longer than a negative one. */
  readonly maxPatchBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Compares the blobs of changes that are known already, in order, with one process; a change of type gives two answers. Where git fails the changes
 * are answered all the same, without patches, and the error comes behind them.
 *
 * @throws {GitalyError} `waiting for git-diff-pairs: exit status 128`, INTERNAL.
 */
export async function* diffKnownChanges(
  repository: Repository,
  changes: readonly KnownChange[],
  { wordDiff, ignoredSpace, maxPatchBytes, signal }: KnownChangesOptions,
): AsyncGenerator<BlobDiff> {
  const { git } = repository;
  await using scratch = git.capabilities.diffPairs ? undefined : await createTempDirectory(repository.storage, 'diff-blobs-');
  const patches = diffPairs(git, repository, changes, { wordDiff, ignoredSpace, scratchDirectory: scratch?.path, signal });
  const output = new OutputBeforeFailure(patches, signal);
  const isWanted = (progress: { readonly patchBytes: number }) => maxPatchBytes === 0 || progress.patchBytes <= maxPatchBytes;
  try {
    for await (const { change, patch } of parsePatches(output, changes.flatMap(expected), () => ({ isWanted }))) {
      const { isBinary, patchBytes, linesAdded, linesRemoved, pieces } = patch;
      const isOverLimit = patch.isPresent && !isWanted(patch);
      const counts = { isBinary, patchBytes, linesAdded, linesRemoved };
      yield { leftOid: change.fromOid, rightOid: change.toOid, isOverLimit, ...counts, pieces: isOverLimit ? [] : pieces };
    }
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

function expected({ status = 'X', oldMode, newMode, oldOid, newOid, path, oldPath }: KnownChange): FileChange[] {
  return splitTypeChange({ status, oldMode, newMode, fromOid: oldOid, toOid: newOid, fromPath: oldPath ?? path, toPath: path });
}
