import type { ServiceImplementation } from '#rpc/server/handler';
import type { DiffService } from '#wire/gen/diff_pb';
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
export function diffService(deps: DiffDependencies): ServiceImplementation<typeof DiffService> {
  return {
    commitDelta: (request, context) => commitDelta(request, context, deps),
    commitDiff: (request, context) => commitDiff(request, context, deps),
    diffBlobs: (request, context) => diffBlobs(request, context, deps),
    diffStats: (request, context) => diffStats(request, context, deps),
    findChangedPaths: (request, context) => findChangedPaths(request, context, deps),
    getPatchID: (request, context) => getPatchId(request, context, deps),
    rangeDiff: (request, context) => rangeDiff(request, context, deps),
    rawDiff: (request, context) => rawDiff(request, context, deps),
    rawPatch: (request, context) => rawPatch(request, context, deps),
    rawRangeDiff: (request, context) => rawRangeDiff(request, context, deps),
  };
}
