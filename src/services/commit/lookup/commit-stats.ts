import { GitalyError } from '#base/gitaly-error';
import { fileStats } from '#domain/diff/file-stats';
import { EMPTY_TREE } from '#git/names/object-id';
import { requireRevision } from '#services/convert/request/revision';
import type { Handlers } from '../dependencies.ts';

/** Counts the lines that a commit adds and removes against its first parent, and the files. */
export const commitStats: Handlers['commitStats'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const revision = requireRevision(request.revision);

  const { signal } = context;
  const commit = await repository.objects.readCommit(revision, { mailmap: false, signal });
  if (commit === undefined) throw new GitalyError('INTERNAL', 'object not found');
  const { oid } = commit;
  const left = commit.parentOids.length === 0 ? EMPTY_TREE[repository.objectFormat] : `${oid}^`;
  let [additions, deletions, files] = [0, 0, 0];
  for await (const stats of fileStats(repository, { left, right: oid }, { signal })) {
    for (const stat of stats) {
      additions += stat.additions;
      deletions += stat.deletions;
      files++;
    }
  }
  return { oid, additions, deletions, files };
};
