import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { type ServedService, serve } from '#rpc/server/handler';
import { mergeLast } from '#services/backup-runs/messages';
import { BackupRunService } from '#wire/gen/gitalyts/backups/v1/backups_pb';
import type { GitalyNode, ObservedNodes } from '../nodes/gitaly-node.ts';

export interface BackupRunServiceOptions extends ObservedNodes {}

/** Time limit of a node. One that hangs is left out. */
const NODE_LIMIT_MS = 2000;

/**
 * The last backups of virtual storages. The nodes keep them. Each node knows what it has stored
 * itself. All get the report of a program, so that it outlives the loss of a node.
 */
export function backupRunService({ isHealthy, nodes }: BackupRunServiceOptions): ServedService {
  /** Calls the healthy nodes. @throws the first problem if none responds. */
  const callAll = async <T>(
    virtualStorage: string,
    call: (node: GitalyNode) => Promise<T>,
  ): Promise<readonly T[]> => {
    const known = nodes.get(virtualStorage);
    if (known === undefined) throw invalidArgument('storage name not found');
    const results = await Promise.allSettled(known.filter(isHealthy).map(call));
    const values = results.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
    if (values.length > 0) return values;
    const failed = results.find((each) => each.status === 'rejected');
    throw failed?.reason ?? new GitalyError('UNAVAILABLE', 'no node of the virtual storage is healthy');
  };
  return serve(BackupRunService, {
    async report({ run, storageName }, { signal }) {
      await callAll(storageName, ({ connection, storage }) =>
        connection.backupRuns.report({ storageName: storage, ...(run && { run }) }, { signal }),
      );
      return {};
    },
    async last({ storageName }, { signal }) {
      const answers = await callAll(storageName, ({ connection, storage }) =>
        connection.backupRuns.last(
          { storageName: storage, everything: true },
          { signal, timeoutMs: NODE_LIMIT_MS },
        ),
      );
      return { runs: mergeLast(answers.flatMap(({ runs }) => runs)) };
    },
  });
}
