import type { MessageInitShape } from '@bufbuild/protobuf';
import { checked, diffFailure } from '#domain/diff-limits/diff-failure';
import { outputBytes } from '#git/command/output-bytes';
import { rawCommand } from '#git/diff/commands';
import { type FileChange, HEX_LENGTH, splitTypeChange } from '#git/diff/raw-line';
import { parseRawRecords, type RawRecord } from '#git/diff/raw-records';
import type { HandlerContext } from '#rpc/server/handler';
import type { CommitDeltaRequest, CommitDeltaResponseSchema, CommitDeltaSchema } from '#wire/gen/diff_pb';
import type { DiffRooms } from './index.ts';
import { requireSides } from './sides.ts';

type Delta = MessageInitShape<typeof CommitDeltaSchema>;

/** A message is sent as soon as its ids, modes and paths exceed this. @see Gitaly: internal/gitaly/service/diff */
const MAX_BATCH_BYTES = 5 * 1024;
/** Two modes of four bytes. */
const MODES_BYTES = 8;

/** Lists the files that differ between two commits, without patches. */
export async function* commitDelta(
  request: CommitDeltaRequest,
  context: HandlerContext,
  rooms: DiffRooms,
): AsyncGenerator<MessageInitShape<typeof CommitDeltaResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const sides = requireSides(request);

  const { git } = repository;
  const command = checked(() => rawCommand(sides, HEX_LENGTH[git.objectFormat(repository)]));
  let deltas: Delta[] = [];
  let bytes = 0;
  try {
    for await (const records of parseRawRecords(outputBytes(git, repository, command, { signal: context.signal }))) {
      for (const change of records.map(changeOf).flatMap(splitTypeChange)) {
        deltas.push(deltaMessage(change));
        bytes += change.fromOid.length + change.toOid.length + MODES_BYTES + change.fromPath.length + change.toPath.length;
        if (bytes > MAX_BATCH_BYTES) {
          yield { deltas };
          deltas = [];
          bytes = 0;
        }
      }
    }
  } catch (error) {
    throw diffFailure(error);
  }
  if (deltas.length > 0) yield { deltas };
}

function changeOf({ sources: [source], newMode, newOid, path, oldPath }: RawRecord): FileChange {
  const { status, mode, oid } = source;
  return { status, oldMode: mode, newMode, fromOid: oid, toOid: newOid, fromPath: oldPath ?? path, toPath: path };
}

function deltaMessage({ fromPath, toPath, fromOid, toOid, oldMode, newMode }: FileChange): Delta {
  return { fromPath, toPath, fromId: fromOid, toId: toOid, oldMode, newMode };
}
