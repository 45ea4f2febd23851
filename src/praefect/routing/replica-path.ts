import { createHash } from 'node:crypto';

/** Path of an object pool as GitLab names it. */
const RAILS_POOL = /^@pools\/([0-9a-f]{2})\/([0-9a-f]{2})\/([0-9a-f]{64})\.git$/;
/** Path of an object pool on the disks. */
const CLUSTER_POOL = /^@cluster\/pools\/[0-9a-f]{2}\/[0-9a-f]{2}\/(\d+)$/;

/** Reports whether a path is that of an object pool of GitLab. */
export function isRailsPoolPath(relativePath: string): boolean {
  const [, first = '', second = '', hash = ''] = RAILS_POOL.exec(relativePath) ?? [];
  return hash !== '' && hash.startsWith(first + second);
}

/** Returns the path of a new repository on the nodes' disks. It does not change with its name. */
export function deriveReplicaPath(repositoryId: number, relativePath: string): string {
  const hash = createHash('sha256').update(String(repositoryId)).digest('hex');
  const kind = isRailsPoolPath(relativePath) ? 'pools' : 'repositories';
  return `@cluster/${kind}/${hash.slice(0, 2)}/${hash.slice(2, 4)}/${repositoryId}`;
}

/** Returns the repository id in the path of an object pool on the disks. */
export function poolIdOf(replicaPath: string): number | undefined {
  const id = CLUSTER_POOL.exec(replicaPath)?.[1];
  return id === undefined ? undefined : Number(id);
}
