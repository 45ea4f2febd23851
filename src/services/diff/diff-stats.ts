import type { MessageInitShape } from '@bufbuild/protobuf';
import { diffFailure } from '#domain/diff/diff-failure';
import { fileStats } from '#domain/diff/file-stats';
import type { FileStat } from '#git/diff/parse/numstat';
import type { DiffStatsSchema } from '#wire/gen/diff_pb';
import type { Handlers } from './dependencies.ts';
import { requireSides } from './sides.ts';

type Stats = MessageInitShape<typeof DiffStatsSchema>;

/** Files in one message. @see Gitaly: internal/gitaly/service/diff/numstat.go */
const MAX_BATCH_FILES = 1000;

/** Counts the lines that each file gained and lost between two commits. */
export const diffStats: Handlers['diffStats'] = async function* (request, { signal }, deps) {
  const repository = deps.storages.open(request.repository);
  const sides = requireSides(request);

  let stats: Stats[] = [];
  try {
    for await (const batch of fileStats(repository, sides, { signal })) {
      for (const stat of batch) {
        stats.push(statsMessage(stat));
        if (stats.length === MAX_BATCH_FILES) {
          yield { stats };
          stats = [];
        }
      }
    }
  } catch (error) {
    throw diffFailure(error);
  }
  if (stats.length > 0) yield { stats };
};

function statsMessage({ path, oldPath, additions, deletions }: FileStat): Stats {
  return { path, additions, deletions, ...(oldPath && { oldPath }) };
}
