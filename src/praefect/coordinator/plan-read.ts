import type { ProxyPlan } from '../proxy/proxy-plan.ts';
import type { CoordinatedCallOptions, RepositoryCall } from './call.ts';
import { losses } from './losses.ts';
import { outgoingMetadata } from './outgoing-metadata.ts';
import { rewriteRepositories } from './rewrite.ts';
import { routeError } from './route-error.ts';

/** Metadata with which a client requests a read from the primary. */
const ACCESSOR_POLICY = 'gitaly-route-repository-accessor-policy';
const PRIMARY_METHODS: ReadonlySet<string> = new Set(['GetObjectDirectorySize', 'RepositorySize']);

/** Sends a read to one node whose replica is up to date. */
export async function planRead(
  { findLost, metrics, reachable, router }: CoordinatedCallOptions,
  { context, method, repository, request }: RepositoryCall,
): Promise<ProxyPlan> {
  const onPrimary =
    PRIMARY_METHODS.has(method.name) || context.headers.get(ACCESSOR_POLICY) === 'primary-only';
  const { virtualStorage } = repository;
  const { node, replicaPath } = await reachable
    .route({
      virtualStorage,
      find: () => router.accessor(repository, { onPrimary }),
      nodesOf: (route) => [route.node],
      waits: false,
      context,
    })
    .catch(routeError(repository, 'accessor call: route repository accessor'));
  metrics.countRead(virtualStorage, node.storage);
  context.log.add({ route: { replica_path: replicaPath, storage: node.storage } });
  const names = { storage: node.storage, replicaPath, additionalReplicaPath: undefined };
  return {
    primary: {
      node,
      metadata: outgoingMetadata(context, virtualStorage),
      firstFrame: rewriteRepositories(method, request, names),
      onError: (error) => error,
    },
    secondaries: [],
    hasLostReplica: losses(findLost, node, { context, repository }),
    finish: async () => {},
  };
}
