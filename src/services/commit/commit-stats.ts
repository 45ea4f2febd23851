import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError } from '#base/gitaly-error';
import { headAttributes } from '#domain/head-attributes/head-attributes';
import { EMPTY_TREE } from '#git/command/config';
import { outputBytes } from '#git/command/output-bytes';
import { numstatCommand } from '#git/diff/commands';
import { parseNumstat } from '#git/diff/numstat';
import type { HandlerContext } from '#rpc/server/handler';
import type { CommitStatsRequest, CommitStatsResponseSchema } from '#wire/gen/commit_pb';
import { requireRevision } from '../convert/revision.ts';
import type { CommitRooms } from './index.ts';

/** Counts the lines that a commit adds and removes against its first parent, and the files. */
export async function commitStats(
  request: CommitStatsRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): Promise<MessageInitShape<typeof CommitStatsResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const revision = requireRevision(request.revision);

  const { signal } = context;
  const { git } = repository;
  const commit = await repository.objects.readCommit(revision, { mailmap: false, signal });
  if (commit === undefined) throw new GitalyError('INTERNAL', 'object not found');
  const { oid } = commit;
  const left = commit.parentOids.length === 0 ? EMPTY_TREE[git.objectFormat(repository)] : `${oid}^`;
  await using attributes = await headAttributes(repository, { signal });
  const { config } = attributes;
  const output = outputBytes(git, repository, numstatCommand({ left, right: oid }), { signal, config });
  let [additions, deletions, files] = [0, 0, 0];
  for await (const stats of parseNumstat(output)) {
    for (const stat of stats) {
      additions += stat.additions;
      deletions += stat.deletions;
      files++;
    }
  }
  return { oid, additions, deletions, files };
}
