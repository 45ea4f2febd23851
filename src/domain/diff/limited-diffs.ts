import { type FileDiff, parseDiff } from '#git/diff/parse/parse-diff';
import type { PatchRules } from '#git/diff/parse/patch-reader';
import type { ChangedPath } from '#git/diff/parse/raw-line';
import type { OidDigits } from '#git/names/object-id';

import { DiffLimiter, type DiffLimits, type Verdict } from './diff-limiter.ts';

/** One file of a diff with its limits applied. */
export interface LimitedDiff extends FileDiff, Verdict {
  /** Pieces of the patch; none if it was dropped. */
  readonly pieces: readonly Buffer[];
  /** The diff ends here because of a limit; the file itself is not shown. */
  readonly isCutOff: boolean;
}

export interface LimitedDiffsOptions {
  readonly hexLength: OidDigits;
  readonly limits: DiffLimits;
  /** Files that are skipped: they are neither listed nor counted. */
  readonly isHidden?: (diff: FileDiff) => boolean;
}

const NO_PIECES: readonly Buffer[] = [];

/**
 * Reads a diff (see {@link parseDiff}) and yields as much of it as the limits allow, in batches as
 * it arrives. With `collectAllPaths` every file is listed; without it the first one beyond a limit
 * on the whole diff is the last. Only the part of a patch that can still be shown is buffered.
 */
export async function* limitedDiffs(
  chunks: AsyncIterable<Uint8Array>,
  { hexLength, limits, isHidden }: LimitedDiffsOptions,
): AsyncGenerator<LimitedDiff[]> {
  const limiter = new DiffLimiter(limits);
  let isCutOff = false;
  const rulesFor = ({ toPath }: ChangedPath): PatchRules => ({
    isSkipped: limiter.isOver,
    isWanted: (progress) => limiter.isWanted(toPath, progress),
  });
  const take = (diff: FileDiff): LimitedDiff | undefined => {
    if (isCutOff || isHidden?.(diff) === true) return undefined;
    const { change, patch } = diff;
    const { isCollapsed, isTooLarge, isOverflow } = limiter.classify(change.toPath, patch);
    isCutOff = isOverflow && !limits.collectAllPaths;
    const pieces = isCollapsed || isTooLarge || isOverflow ? NO_PIECES : patch.pieces;
    return { change, patch, isCollapsed, isTooLarge, isOverflow, isCutOff, pieces };
  };
  for await (const batch of parseDiff(chunks, { hexLength, rulesFor, take })) {
    yield batch;
    if (isCutOff) return;
  }
}
