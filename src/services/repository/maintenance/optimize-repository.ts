import { invalidArgument } from '#base/gitaly-error';
import { planAsNeeded, planEverything } from '#domain/housekeeping/decisions/plan-maintenance';
import type { OptimizeOptions } from '#domain/housekeeping/housekeeping';
import type { HandlerContext, ResponseOf } from '#rpc/server/handler';
import {
  type OptimizeRepositoryRequest,
  type OptimizeRepositoryResponseSchema,
  OptimizeRepositoryRequest_Strategy as Strategy,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';
import { refuseOffloading, refuseRehydration } from './refuse-offloading.ts';

/** Does the maintenance that a repository needs, or all of it. Another run at the time is enough. */
export async function optimizeRepository(
  request: OptimizeRepositoryRequest,
  context: HandlerContext,
  deps: RepositoryDependencies,
): ResponseOf<typeof OptimizeRepositoryResponseSchema> {
  const repository = deps.storages.open(request.repository);
  const { signal } = context;
  const { strategy } = request;
  if (strategy === Strategy.OFFLOADING) refuseOffloading(deps.offloading);
  if (strategy === Strategy.REHYDRATION) await refuseRehydration(repository, deps.offloading, signal);
  const plan = planOf(strategy);

  await deps.housekeeping.optimize(repository, { plan, signal, vote: deps.voteOf(context) });
  return {};
}

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
