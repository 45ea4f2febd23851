import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { DiffService } from '#wire/gen/diff_pb';
import { commitDelta } from './commit-delta.ts';
import { commitDiff } from './commit-diff.ts';
import { diffBlobs } from './diff-blobs.ts';
import { diffStats } from './diff-stats.ts';
import { findChangedPaths } from './find-changed-paths.ts';
import { getPatchId } from './get-patch-id.ts';
import { rangeDiff } from './range-diff.ts';
import { rawDiff } from './raw-diff.ts';
import { rawPatch } from './raw-patch.ts';
import { rawRangeDiff } from './raw-range-diff.ts';

export interface DiffRooms {
  readonly storages: Storages;
}

/** Differences between commits, trees and blobs. */
export function diffService(rooms: DiffRooms): ServiceImplementation<typeof DiffService> {
  return {
    commitDelta: (request, context) => commitDelta(request, context, rooms),
    commitDiff: (request, context) => commitDiff(request, context, rooms),
    diffBlobs: (request, context) => diffBlobs(request, context, rooms),
    diffStats: (request, context) => diffStats(request, context, rooms),
    findChangedPaths: (request, context) => findChangedPaths(request, context, rooms),
    getPatchID: (request, context) => getPatchId(request, context, rooms),
    rangeDiff: (request, context) => rangeDiff(request, context, rooms),
    rawDiff: (request, context) => rawDiff(request, context, rooms),
    rawPatch: (request, context) => rawPatch(request, context, rooms),
    rawRangeDiff: (request, context) => rawRangeDiff(request, context, rooms),
  };
}
