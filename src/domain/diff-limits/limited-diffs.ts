import { type FileDiff, parseDiff } from '#git/diff/parse-diff';
import type { PatchProgress } from '#git/diff/patch-reader';
import type { FileChange, HexLength } from '#git/diff/raw-line';

import { DiffLimiter, type DiffLimits, type Verdict } from './diff-limiter.ts';

/** One file of a diff as it is shown. */
export interface LimitedDiff extends FileDiff, Verdict {
  /** Pieces of the patch; none where it was dropped. */
  readonly pieces: readonly Buffer[];
  /** The diff ends here because of a limit: only that is shown, nothing of the file. */
  readonly isCutOff: boolean;
}

export interface LimitedDiffsOptions {
  readonly hexLength: HexLength;
  readonly limits: DiffLimits;
  /** Files that are passed over: they are not listed, and count for nothing. */
  readonly isHidden?: (diff: FileDiff) => boolean;
}

const NO_PIECES: readonly Buffer[] = [];

/**
 * Reads a diff (see {@link parseDiff}) and shows as much of it as the limits allow. With `collectAllPaths` every file is listed; without it the
 * first one beyond a limit on the whole diff is the last. No more of a patch is held than can still be shown.
 */
export async function* limitedDiffs(
  chunks: AsyncIterable<Uint8Array>,
  options: LimitedDiffsOptions,
): AsyncGenerator<LimitedDiff> {
  const { hexLength, limits, isHidden } = options;
  const limiter = new DiffLimiter(limits);
  const rulesFor = ({ toPath }: FileChange) => ({
    isSkipped: limiter.isOver,
    isWanted: (progress: PatchProgress) => limiter.isWanted(toPath, progress),
  });
  for await (const diff of parseDiff(chunks, { hexLength, rulesFor })) {
    if (isHidden?.(diff) === true) continue;
    const verdict = limiter.judge(diff.change.toPath, diff.patch);
    const isDropped = verdict.isCollapsed || verdict.isTooLarge || verdict.isOverflow;
    const isCutOff = verdict.isOverflow && !limits.collectAllPaths;
    yield { ...diff, ...verdict, isCutOff, pieces: isDropped ? NO_PIECES : diff.patch.pieces };
    if (isCutOff) return;
  }
}
