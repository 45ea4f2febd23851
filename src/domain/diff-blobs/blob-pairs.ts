import { GitalyError, wrap } from '#base/gitaly-error';
import { OutputBeforeFailure, outputBytes } from '#git/command/output-bytes';
import { blobCommand } from '#git/diff/commands';
import { HEX_LENGTH } from '#git/diff/raw-line';
import { writeScratchObject } from '#git/diff/scratch-object';
import type { GitRepository } from '#git/repository';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import { UNLIMITED } from '../diff-limits/diff-limiter.ts';
import { type LimitedDiff, limitedDiffs } from '../diff-limits/limited-diffs.ts';
import { type HeadAttributes, headAttributes } from '../head-attributes/head-attributes.ts';
import type { BlobDiff } from './blob-diff.ts';

/** Two blobs that differ. */
export interface BlobPair {
  /** As asked for: a full id or `revision:path`. The path decides which attributes hold, and what the patch calls the side. */
  readonly leftRevision: Buffer;
  readonly rightRevision: Buffer;
  /** Zeros where a side is absent. */
  readonly leftOid: string;
  readonly rightOid: string;
}

export interface BlobPairsOptions {
  readonly wordDiff: boolean;
  /** Longer patches are dropped, never above 512,000 bytes; 0 or less is no limit. */
  readonly maxPatchBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Compares pairs of blobs, in order, with a git for each pair: `git diff` takes one pair at a time.
 *
 * @throws {GitalyError} `generating diff: …`, INTERNAL.
 */
export async function* diffBlobPairs(
  repository: Repository,
  pairs: readonly BlobPair[],
  options: BlobPairsOptions,
): AsyncGenerator<BlobDiff> {
  await using scratch = pairs.some(hasAbsentSide) ? await withEmptyBlob(repository) : undefined;
  await using attributes = await headAttributes(repository, options);
  for (const pair of pairs) {
    try {
      yield await diffPair(repository, scratch, pair, { ...options, config: attributes.config });
    } catch (error) {
      throw wrap(error, 'generating diff');
    }
  }
}

interface Scratch extends AsyncDisposable {
  /** The same repository, with an empty blob. */
  readonly repository: GitRepository;
  readonly emptyBlob: string;
}

/** An absent side is an empty blob for git, and that has to exist somewhere: in a directory that is read as an alternate, for as long as it is needed. */
async function withEmptyBlob(repository: Repository): Promise<Scratch> {
  const directory = await createTempDirectory(repository.storage, 'diff-blobs-');
  const format = repository.git.objectFormat(repository);
  const emptyBlob = await writeScratchObject(directory.path, { type: 'blob', data: Buffer.alloc(0) }, format);
  const { path, objectDirectory, alternateObjectDirectories } = repository;
  return {
    repository: { path, objectDirectory, alternateObjectDirectories: [...alternateObjectDirectories, directory.path] },
    emptyBlob,
    [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
  };
}

async function diffPair(
  repository: Repository,
  scratch: Scratch | undefined,
  pair: BlobPair,
  { wordDiff, maxPatchBytes, signal, config }: BlobPairsOptions & Pick<HeadAttributes, 'config'>,
): Promise<BlobDiff> {
  const { git } = repository;
  const { leftOid, rightOid } = pair;
  const empty = Buffer.from(scratch?.emptyBlob ?? '');
  const left = isZero(leftOid) ? empty : pair.leftRevision;
  const right = isZero(rightOid) ? empty : pair.rightRevision;
  // Nothing against nothing: git has no words for it.
  if (left.equals(Buffer.from(rightOid)) || right.equals(Buffer.from(leftOid))) {
    return { leftOid, rightOid, isBinary: false, isOverLimit: false, patchBytes: 0, linesAdded: 0, linesRemoved: 0, pieces: [] };
  }

  const hexLength = HEX_LENGTH[git.objectFormat(repository)];
  const command = blobCommand({ left, right }, { hexLength, wordDiff });
  const limits = maxPatchBytes > 0 ? { ...UNLIMITED, enforce: true, patchLimitsOnly: true, maxPatchBytes } : UNLIMITED;
  const output = new OutputBeforeFailure(
    outputBytes(git, scratch?.repository ?? repository, command, { signal, config }),
    signal,
  );
  let first: LimitedDiff | undefined;
  // Blobs of different types (a file and a link) come as two; the first one is the answer.
  for await (const [diff] of limitedDiffs(output, { hexLength, limits })) first ??= diff;
  if (first === undefined) throw new GitalyError('UNKNOWN', 'diff parser finished unexpectedly');
  if (output.failure !== undefined) throw wrap(output.failure, 'waiting for git-diff');
  const { change, patch, pieces, isTooLarge } = first;
  const { isBinary, patchBytes, linesAdded, linesRemoved } = patch;
  return {
    leftOid: isZero(leftOid) ? leftOid : change.fromOid,
    rightOid: isZero(rightOid) ? rightOid : change.toOid,
    isBinary,
    isOverLimit: isTooLarge,
    patchBytes,
    linesAdded,
    linesRemoved,
    pieces,
  };
}

function hasAbsentSide({ leftOid, rightOid }: BlobPair): boolean {
  return isZero(leftOid) || isZero(rightOid);
}

function isZero(oid: string): boolean {
  return /^0+$/.test(oid);
}
