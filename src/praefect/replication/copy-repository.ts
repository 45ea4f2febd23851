import { GitalyError } from '#base/gitaly-error';
import { gitalyServers } from '#client/index';
import { DETACHED_HEAD } from '#rpc/common/header-names';
import type { ReplicationJob } from '../model/job.ts';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** Reason why a target may not share objects with the pool. */
const OTHER_PARTITION = 'repositories are in different partitions';

export interface CopyRepositoryOptions {
  readonly source: GitalyNode;
  readonly target: GitalyNode;
  /** Path of the repository on the disks of both nodes. */
  readonly replicaPath: string;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Copies a repository from one node to another, and links the copy to the same object pool.
 *
 * @returns `invalid-source` if there is no repository to copy.
 */
export async function copyRepository(
  { correlationId }: ReplicationJob,
  { replicaPath, signal, source, target }: CopyRepositoryOptions,
): Promise<'copied' | 'invalid-source'> {
  const { address, token } = source.config;
  const from = { storageName: source.storage, relativePath: replicaPath };
  const to = { storageName: target.storage, relativePath: replicaPath };
  const metadata = {
    ...gitalyServers({ [source.storage]: { address, ...(token === undefined ? {} : { token }) } }),
    // Such a repository could never be copied otherwise. Gitaly's own nodes ignore this.
    [DETACHED_HEAD]: 'true',
  };
  const ending = { correlationId, ...(signal && { signal }) };
  const options = { ...ending, metadata };
  try {
    await target.connection.repository.replicateRepository({ repository: to, source: from }, options);
  } catch (error) {
    if (isInvalidSource(error)) return 'invalid-source';
    throw error;
  }
  const [sourcePool, targetPool] = await Promise.all([
    source.connection.objectPool.getObjectPool({ repository: from }, ending),
    target.connection.objectPool.getObjectPool({ repository: to }, ending),
  ]);
  const wanted = sourcePool.objectPool?.repository?.relativePath;
  if (wanted === targetPool.objectPool?.repository?.relativePath) return 'copied';
  if (targetPool.objectPool !== undefined)
    await target.connection.objectPool.disconnectGitAlternates({ repository: to }, ending);
  if (wanted !== undefined) {
    const objectPool = { repository: { storageName: target.storage, relativePath: wanted } };
    await target.connection.objectPool
      .linkRepositoryToObjectPool({ repository: to, objectPool }, ending)
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
