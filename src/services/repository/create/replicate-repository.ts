import { invalidArgument, wrapped } from '#base/gitaly-error';
import { replicateRepository as replicate } from '#domain/replicate/replicate-repository';
import { DETACHED_HEAD } from '#rpc/common/header-names';
import { remoteConnector } from '#services/convert/request/open-remote';
import { requireTarget } from '#storage/require-target';
import type { Handlers } from '../dependencies.ts';

/** Makes a repository the copy of one in another storage. */
export const replicateRepository: Handlers['replicateRepository'] = async (request, context, deps) => {
  deps.storages.locate(request.repository);
  const target = requireTarget(request.repository);
  const { source } = request;
  if (source === undefined) throw invalidArgument('source repository cannot be empty');
  if (source.storageName === target.storageName)
    throw invalidArgument('repository and source have the same storage');

  const remote = await remoteConnector(source, context, deps.remotes)().catch(wrapped('new client'));
  await replicate(deps.storages, target, remote, {
    vote: deps.voteOf(context),
    hooks: deps.transactionHooks(context),
    signal: context.signal,
    withDetachedHead: context.headers.get(DETACHED_HEAD) === 'true',
    withPool: request.replicateObjectDeduplicationNetworkMembership,
    maintenance: deps.housekeeping.runs,
    onLocksRemoved: (paths) => {
      if (paths.length > 0) context.log.add({ replicate_removed_locks: paths });
    },
    onMovedAway: (path) => context.log.add({ replicate_moved_away: path }),
  });
  return {};
};
