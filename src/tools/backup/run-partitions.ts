import { clientMessageOf, codeOf, wrap, wrapped } from '#base/gitaly-error';
import { asGoStatus } from '#base/go/status';
import { Limit } from '#base/limits/limit';
import type { Connection } from '#client/index';
import type { Logger } from '#platform/log/logger';
import type { BackupContext } from './run-backup.ts';
import { readServers, Servers } from './servers.ts';

export interface PartitionArguments {
  /** Partitions of a storage at a time. */
  readonly parallel: number;
  /** Limit of the time for one partition. */
  readonly timeoutMs: number;
}

const PAGE_PARTITIONS = 100;

/**
 * Lets the servers back up all partitions of the storages in GITALY_SERVERS.
 *
 * @throws {Error} `partition create: …`
 */
export async function runPartitionCreate(
  options: PartitionArguments,
  { logger, environment, signal }: Omit<BackupContext, 'input'>,
): Promise<void> {
  await using servers = new Servers(readServers(environment.GITALY_SERVERS));
  if (servers.known === undefined)
    throw new Error(
      'extract gitaly servers: empty metadata: set GITALY_SERVERS to the servers of the storages',
    );
  for (const storageName of servers.known.keys()) {
    logger.info(`creating partition backup for storage: ${storageName}`);
    const connection = await servers.of(storageName);
    await backUpStorage(connection, storageName, { ...options, logger, signal }).catch(
      wrapped('partition create'),
    );
    logger.info(`done creating backup for storage: ${storageName}`);
  }
}

interface StorageOptions extends PartitionArguments {
  readonly logger: Logger;
  readonly signal: AbortSignal;
}

async function backUpStorage(
  connection: Connection,
  storageName: string,
  { logger, parallel, timeoutMs, signal }: StorageOptions,
): Promise<void> {
  const limit = new Limit<string>({ capacity: Math.max(parallel, 1) });
  const running = new Set<Promise<void>>();
  let succeeded = 0;
  let failed = 0;
  const backUp = async (partitionId: string): Promise<void> => {
    try {
      await connection.partition.backupPartition({ storageName, partitionId }, { timeoutMs, signal });
      succeeded++;
    } catch (error) {
      if (codeOf(error) === 'ALREADY_EXISTS') return void succeeded++; // the backup is up to date
      failed++;
      logger.error(`backup partition ${partitionId} failed: ${clientMessageOf(asGoStatus(error))}`);
    }
  };
  try {
    for await (const id of partitionsOf(connection, storageName, { logger, signal })) {
      const turn = await limit.acquire('', { signal });
      const work = backUp(id).finally(() => {
        turn.release();
        running.delete(work);
      });
      running.add(work);
    }
  } finally {
    await Promise.all(running);
    logger.info(`Partition backup completed: ${succeeded} succeeded, ${failed} failed`);
  }
  if (failed > 0)
    throw new Error(`partition backup failed for ${failed} out of ${succeeded + failed} partition(s)`);
}

async function* partitionsOf(
  connection: Connection,
  storageName: string,
  { logger, signal }: Pick<StorageOptions, 'logger' | 'signal'>,
): AsyncGenerator<string, void, undefined> {
  for (let pageToken = '', isFirst = true; isFirst || pageToken !== ''; isFirst = false) {
    if (!isFirst) logger.info('processing next batch');
    const request = { storageName, paginationParams: { pageToken, limit: PAGE_PARTITIONS } };
    const page = await connection.partition.listPartitions(request, { signal }).catch((error: unknown) => {
      throw wrap(asGoStatus(error), 'list partitions');
    });
    logger.info(`processing ${page.partitions.length} partitions`);
    for (const { id } of page.partitions) yield id;
    pageToken = page.paginationCursor?.nextCursor ?? '';
  }
}
