import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { ProxyPlan } from '../proxy/proxy-plan.ts';
import type { FindLost } from '../repair/lost-replicas.ts';
import type { RepositoryCall } from './call.ts';

/** Returns the function that reports whether a node has lost the repository of a call. */
export function losses(
  findLost: FindLost | undefined,
  node: GitalyNode,
  { context, repository }: Pick<RepositoryCall, 'context' | 'repository'>,
): NonNullable<ProxyPlan['hasLostReplica']> {
  return async (error) =>
    (await findLost?.({ node, repository, error, correlationId: context.correlationId })) ?? false;
}
