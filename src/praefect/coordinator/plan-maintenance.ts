import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { Destination, ProxyPlan } from '../proxy/proxy-plan.ts';
import type { CoordinatedCallOptions, RepositoryCall } from './call.ts';
import { outgoingMetadata } from './outgoing-metadata.ts';
import { rewriteRepositories } from './rewrite.ts';
import { routeError } from './route-error.ts';

/** Sends maintenance to all healthy nodes that have the repository, outdated replicas included. */
export async function planMaintenance(
  { router }: CoordinatedCallOptions,
  { context, method, repository, request }: RepositoryCall,
): Promise<ProxyPlan> {
  const { nodes, replicaPath, repositoryId } = await router
    .maintenance(repository)
    .catch(routeError(repository, 'maintenance call: route repository maintenance'));
  const storages = nodes.map(({ storage }) => storage);
  context.log.add({ route: { repository_id: repositoryId, replica_path: replicaPath, storages } });
  const errors = new Map<GitalyNode, unknown>();
  const [primary, ...secondaries] = nodes.map(
    (node): Destination => ({
      node,
      metadata: outgoingMetadata(context, repository.virtualStorage),
      firstFrame: rewriteRepositories(method, request, {
        storage: node.storage,
        replicaPath,
        additionalReplicaPath: undefined,
      }),
      // Report an error only after all nodes have finished.
      onError: (error) => void errors.set(node, error),
    }),
  );
  if (primary === undefined) throw new Error('no healthy nodes');
  return {
    primary,
    secondaries,
    finish: async () => {
      for (const node of nodes) if (errors.has(node)) throw errors.get(node);
    },
  };
}
