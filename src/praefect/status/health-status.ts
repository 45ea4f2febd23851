import type { GitalyNode, NodesByStorage } from '../nodes/gitaly-node.ts';
import type { ClusterStatus } from './cluster-status.ts';

/** Returns the state of a cluster without a database, of which only the health of nodes is known. */
export function healthStatus(nodes: NodesByStorage, isHealthy: (node: GitalyNode) => boolean): ClusterStatus {
  const unknown = { lastSeen: undefined, primaries: undefined, assigned: undefined, jobs: undefined };
  const virtualStorages = [...nodes].map(([name, ofStorage]) => ({
    name,
    repositories: undefined,
    unavailable: 0,
    unavailablePaths: [],
    storages: ofStorage.map((node) => ({
      ...unknown,
      storage: node.storage,
      isHealthy: isHealthy(node),
      outdated: 0,
      oldestJob: undefined,
    })),
  }));
  return { virtualStorages, praefects: undefined };
}
