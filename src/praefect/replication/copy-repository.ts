import { GitalyError } from '#base/gitaly-error';
import { gitalyServers } from '#client/index';
import type { GitalyNode } from '../nodes/gitaly-node.ts';
import type { ReplicationJob } from './job.ts';

/** Reason of a target that may not share objects with the pool. */
const OTHER_PARTITION = 'repositories are in different partitions';

/**
 * Copies a repository from one node to another, and links the copy to the same object pool.
 *
 * @returns `invalid-source` if there is no repository to copy.
 */
export async function copyRepository(
  { correlationId }: ReplicationJob,
  { source, target, replicaPath }: { source: GitalyNode; target: GitalyNode; replicaPath: string },
): Promise<'copied' | 'invalid-source'> {
  const { address, token } = source.config;
  const from = { storageName: source.storage, relativePath: replicaPath };
  const to = { storageName: target.storage, relativePath: replicaPath };
  const metadata = gitalyServers({
    [source.storage]: { address, ...(token === undefined ? {} : { token }) },
  });
  const options = { correlationId, metadata };
  try {
    await target.connection.repository.replicateRepository({ repository: to, source: from }, options);
  } catch (error) {
    if (isInvalidSource(error)) return 'invalid-source';
    throw error;
  }
  const [sourcePool, targetPool] = await Promise.all([
    source.connection.objectPool.getObjectPool({ repository: from }, { correlationId }),
    target.connection.objectPool.getObjectPool({ repository: to }, { correlationId }),
  ]);
  const wanted = sourcePool.objectPool?.repository?.relativePath;
  if (wanted === targetPool.objectPool?.repository?.relativePath) return 'copied';
  if (targetPool.objectPool !== undefined)
    await target.connection.objectPool.disconnectGitAlternates({ repository: to }, { correlationId });
  if (wanted !== undefined) {
    const objectPool = { repository: { storageName: target.storage, relativePath: wanted } };
    await target.connection.objectPool
      .linkRepositoryToObjectPool({ repository: to, objectPool }, { correlationId })
      .catch(ignoreOtherPartition);
  }
  return 'copied';
}

function isInvalidSource(error: unknown): boolean {
  return (
    error instanceof GitalyError &&
    error.code === 'NOT_FOUND' &&
    error.message === 'invalid source repository'
  );
}

function ignoreOtherPartition(error: unknown): void {
  if (!(error instanceof GitalyError) || !error.message.includes(OTHER_PARTITION)) throw error;
}
