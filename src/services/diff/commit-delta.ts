import type { MessageInitShape } from '@bufbuild/protobuf';
import { fileChanges } from '#domain/diff/file-changes';
import type { ChangedPath } from '#git/diff/parse/raw-line';
import type { CommitDeltaSchema } from '#wire/gen/diff_pb';
import type { Handlers } from './dependencies.ts';
import { requireSides } from './sides.ts';

type Delta = MessageInitShape<typeof CommitDeltaSchema>;

/**
 * A message is sent as soon as its ids, modes and paths exceed this. @see Gitaly:
 * internal/gitaly/service/diff
 */
const MAX_BATCH_BYTES = 5 * 1024;
/** Two modes of four bytes. */
const MODES_BYTES = 8;

/** Lists the files that differ between two commits, without patches. */
export const commitDelta: Handlers['commitDelta'] = async function* (request, { signal }, deps) {
  const repository = deps.storages.open(request.repository);
  const sides = requireSides(request);

  let deltas: Delta[] = [];
  let bytes = 0;
  for await (const changes of fileChanges(repository, sides, { signal })) {
    for (const change of changes) {
      deltas.push(deltaMessage(change));
      bytes += sizeOf(change);
      if (bytes > MAX_BATCH_BYTES) {
        yield { deltas };
        deltas = [];
        bytes = 0;
      }
    }
  }
  if (deltas.length > 0) yield { deltas };
};

function sizeOf({ fromOid, toOid, fromPath, toPath }: ChangedPath): number {
  return fromOid.length + toOid.length + MODES_BYTES + fromPath.length + toPath.length;
}

function deltaMessage({ fromPath, toPath, fromOid, toOid, oldMode, newMode }: ChangedPath): Delta {
  return { fromPath, toPath, fromId: fromOid, toId: toOid, oldMode, newMode };
}
