import { invalidArgument, messageOf } from '#base/gitaly-error';
import { planAsNeeded, planEverything } from '#domain/housekeeping/decisions/plan-maintenance';
import type { OptimizeOptions } from '#domain/housekeeping/housekeeping';
import { pruneUnreachable } from '#domain/housekeeping/prune-unreachable';
import { collectGarbage } from '#domain/housekeeping/releases-15/collect-garbage';
import { repackAsBefore } from '#domain/housekeeping/releases-15/repack-as-before';
import { repackWithIndex } from '#domain/housekeeping/releases-15/repack-with-index';
import { updateCommitGraph } from '#domain/housekeeping/releases-15/update-commit-graph';
import { cleanWorktrees } from '#domain/worktrees/clean-worktrees';
import { OptimizeRepositoryRequest_Strategy as Strategy } from '#wire/gen/repository_pb';
import { WriteCommitGraphRequest_SplitStrategy as SplitStrategy } from '#wire/gen/repository-service_pb';
import type { Handlers } from '../dependencies.ts';
import { refuseOffloading, refuseRehydration } from './refuse-offloading.ts';

/** Does the maintenance that a repository needs, or all of it. Another run at the time is enough. */
export const optimizeRepository: Handlers['optimizeRepository'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const { signal } = context;
  const { strategy } = request;
  if (strategy === Strategy.OFFLOADING) refuseOffloading(deps.offloading);
  if (strategy === Strategy.REHYDRATION) await refuseRehydration(repository, deps.offloading, signal);
  const plan = planOf(strategy);

  await deps.housekeeping.optimize(repository, { plan, signal, vote: deps.voteOf(context) });
  return {};
};

/** The wire format allows numbers that the enumeration does not have. */
function planOf(strategy: Strategy): NonNullable<OptimizeOptions['plan']> {
  switch (strategy) {
    case Strategy.UNSPECIFIED:
    case Strategy.HEURISTICAL:
      return planAsNeeded;
    case Strategy.EAGER:
      return planEverything;
    default:
      throw invalidArgument(`unsupported optimization strategy ${String(strategy)}`);
  }
}

/** Removes the work trees that killed calls left. Clients of 15.0 only. */
export const cleanup: Handlers['cleanup'] = async (request, { signal }, deps) => {
  const repository = deps.storages.open(request.repository);

  await cleanWorktrees(repository, { signal });
  return {};
};

/** Runs `git gc`. Clients of 15.0 only. */
export const garbageCollect: Handlers['garbageCollect'] = async (request, { signal, log }, deps) => {
  const repository = deps.storages.open(request.repository);

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    collectGarbage(deps.housekeeping, repository, {
      writeBitmap: request.createBitmap,
      prune: request.prune,
      onStaleDataLeft: (error) => log.add({ stale_data_error: messageOf(error) }),
      signal: running,
    }),
  );
  return {};
};

/** Packs the loose objects. Clients of 15.0 only. */
export const repackIncremental: Handlers['repackIncremental'] = async (request, { signal }, deps) => {
  const repository = deps.storages.open(request.repository);

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    repackAsBefore(repository, { kind: 'incremental', writeBitmap: false, signal: running }),
  );
  return {};
};

/** Repacks all objects into one pack. Clients of 15.0 only. */
export const repackFull: Handlers['repackFull'] = async (request, { signal }, deps) => {
  const repository = deps.storages.open(request.repository);
  const writeBitmap = request.createBitmap;

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    repackAsBefore(repository, { kind: 'full', writeBitmap, signal: running }),
  );
  return {};
};

/** Combines small packs with the help of a multi-pack-index. Clients of 15.0 only. */
export const midxRepack: Handlers['midxRepack'] = async (request, { signal }, deps) => {
  const repository = deps.storages.open(request.repository);

  await deps.housekeeping.exclusively(repository, signal, (running) => repackWithIndex(repository, running));
  return {};
};

/** Drops unreachable objects that are older than half an hour. Object pools are refused. */
export const pruneUnreachableObjects: Handlers['pruneUnreachableObjects'] = async (
  request,
  { signal },
  deps,
) => {
  const repository = deps.storages.open(request.repository);

  await pruneUnreachable(deps.housekeeping, repository, signal);
  return {};
};

/** Updates the commit-graph. Clients of 15.0 only. */
export const writeCommitGraph: Handlers['writeCommitGraph'] = async (request, { signal }, deps) => {
  const repository = deps.storages.open(request.repository);
  if (request.splitStrategy !== SplitStrategy.SizeMultiple)
    throw invalidArgument(`unsupported split strategy: ${String(request.splitStrategy)}`);

  await deps.housekeeping.exclusively(repository, signal, (running) =>
    updateCommitGraph(repository, running),
  );
  return {};
};
