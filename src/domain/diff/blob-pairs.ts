import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { OutputBeforeFailure, outputBytes } from '#git/command/output';
import { blobCommand } from '#git/diff/commands';
import { OID_DIGITS } from '#git/names/object-id';
import { writeScratchObject } from '#git/objects/write/scratch-object';
import type { GitRepository } from '#git/repository';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import type { BlobDiff } from './blob-diff.ts';
import { UNLIMITED } from './diff-limiter.ts';
import { type HeadAttributes, headAttributes } from './head-attributes.ts';
import { type LimitedDiff, limitedDiffs } from './limited-diffs.ts';

/** Two blobs that differ. */
export interface BlobPair {
  /**
   * The requested revision: a full id or `revision:path`. The path determines the attributes, and
   * the side's name in the patch.
   */
  readonly leftRevision: Buffer;
  readonly rightRevision: Buffer;
  /** Zeros for an absent side. */
  readonly leftOid: string;
  readonly rightOid: string;
}

export interface BlobPairsOptions {
  readonly wordDiff: boolean;
  /**
   * Limit of a patch, at most 512,000 bytes; longer patches are dropped. 0 or less means no limit.
   */
  readonly maxPatchBytes: number;
  readonly signal: AbortSignal;
}

/**
 * Compares pairs of blobs, in order, with a git for each pair, because `git diff` accepts only one
 * pair.
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
  const { config } = attributes;
  for (const pair of pairs)
    yield await diffPair(repository, scratch, pair, { ...options, config }).catch(wrapped('generating diff'));
}

interface Scratch extends AsyncDisposable {
  /** The same repository, with an empty blob. */
  readonly repository: GitRepository;
  readonly emptyBlob: string;
}

/**
 * Creates an empty blob in a temporary alternate: git needs an existing empty blob for an absent
 * side.
 */
async function withEmptyBlob(repository: Repository): Promise<Scratch> {
  const directory = await createTempDirectory(repository.storage, 'diff-blobs-');
  const format = repository.objectFormat;
  const emptyBlob = await writeScratchObject(directory.path, { type: 'blob', data: Buffer.alloc(0) }, format);
  return {
    repository: repository.withObjectDirectories({
      alternateObjectDirectories: [...repository.alternateObjectDirectories, directory.path],
    }),
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
  const { leftOid, rightOid } = pair;
  const empty = Buffer.from(scratch?.emptyBlob ?? '');
  const left = isZero(leftOid) ? empty : pair.leftRevision;
  const right = isZero(rightOid) ? empty : pair.rightRevision;
  // Both sides are absent, which git cannot compare.
  if (left.equals(Buffer.from(rightOid)) || right.equals(Buffer.from(leftOid))) {
    return {
      leftOid,
      rightOid,
      isBinary: false,
      isOverLimit: false,
      patchBytes: 0,
      linesAdded: 0,
      linesRemoved: 0,
      pieces: [],
    };
  }

  const hexLength = OID_DIGITS[repository.objectFormat];
  const command = blobCommand({ left, right }, { hexLength, wordDiff });
  const limits =
    maxPatchBytes > 0 ? { ...UNLIMITED, enforce: true, patchLimitsOnly: true, maxPatchBytes } : UNLIMITED;
  const output = new OutputBeforeFailure(
    outputBytes(scratch?.repository ?? repository, command, { signal, config }),
    signal,
  );
  let first: LimitedDiff | undefined;
  // Blobs of different types (a file and a link) give two diffs; the first one is the result.
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
