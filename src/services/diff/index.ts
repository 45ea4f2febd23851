import { serveWith } from '#rpc/server/handler';
import { DiffService } from '#wire/gen/diff_pb';
import { commitDelta } from './commit-delta.ts';
import { commitDiff } from './commit-diff.ts';
import type { DiffDependencies } from './dependencies.ts';
import { diffBlobs } from './diff-blobs.ts';
import { diffStats } from './diff-stats.ts';
import { findChangedPaths } from './find-changed-paths.ts';
import { getPatchId } from './get-patch-id.ts';
import { rangeDiff } from './range-diff.ts';
import { rawDiff, rawPatch, rawRangeDiff } from './raw-output.ts';

/** Differences between commits, trees and blobs. */
export function diffService(deps: DiffDependencies) {
  return serveWith(DiffService, deps, {
    commitDelta,
    commitDiff,
    diffBlobs,
    diffStats,
    findChangedPaths,
    getPatchID: getPatchId,
    rangeDiff,
    rawDiff,
    rawPatch,
    rawRangeDiff,
  });
}
