import type { MessageInitShape } from '@bufbuild/protobuf';
import { checked, diffFailure } from '#domain/diff-limits/diff-failure';
import { headAttributes } from '#domain/head-attributes/head-attributes';
import { outputBytes } from '#git/command/output-bytes';
import { numstatCommand } from '#git/diff/commands';
import { type FileStat, parseNumstat } from '#git/diff/numstat';
import type { HandlerContext } from '#rpc/server/handler';
import type { DiffStatsRequest, DiffStatsResponseSchema, DiffStatsSchema } from '#wire/gen/diff_pb';
import type { DiffRooms } from './index.ts';
import { requireSides } from './sides.ts';

type Stats = MessageInitShape<typeof DiffStatsSchema>;

/** Files in one message. @see Gitaly: internal/gitaly/service/diff/numstat.go */
const MAX_BATCH_FILES = 1000;

/** Counts the lines that each file gained and lost between two commits. */
export async function* diffStats(
  request: DiffStatsRequest,
  context: HandlerContext,
  rooms: DiffRooms,
): AsyncGenerator<MessageInitShape<typeof DiffStatsResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const sides = requireSides(request);

  const command = checked(() => numstatCommand(sides));
  await using attributes = await headAttributes(repository, context);
  const { config } = attributes;
  let stats: Stats[] = [];
  try {
    for await (const batch of parseNumstat(
      outputBytes(repository.git, repository, command, { signal: context.signal, config }),
    )) {
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
}

function statsMessage({ path, oldPath, additions, deletions }: FileStat): Stats {
  return { path, additions, deletions, ...(oldPath && { oldPath }) };
}
