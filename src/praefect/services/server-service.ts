import { createHash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { asGoStatus } from '#base/go/status';
import type { Logger } from '#platform/log/logger';
import { clockSynced } from '#rpc/common/clock-synced';
import { type ServedService, serve } from '#rpc/server/handler';
import {
  type ReadinessCheckResponseSchema,
  type ServerInfoResponse,
  ServerService,
} from '#wire/gen/server_pb';
import type { ObservedNodes } from '../nodes/gitaly-node.ts';

/** Limit of the checks when the caller sets none. */
const READINESS_LIMIT_MS = 30_000;
/** Namespace of the ids of virtual storages (UUID version 5). */
const FILESYSTEM_NAMESPACE = '1ef1a8c6cf524d0a92a6ca643e8bc7c5';

export interface ServerServiceOptions extends ObservedNodes {
  readonly logger: Logger;
  /** Runs the checks of the cluster; empty without a failure. */
  readonly failedChecks: (timeoutMs: number) => Promise<ReadonlyMap<string, string>>;
}

/** Facts about a cluster: its virtual storages look like the storages of one Gitaly. */
export function serverService(options: ServerServiceOptions): ServedService {
  const { failedChecks, nodes } = options;
  return serve(ServerService, {
    async serverInfo(_, { signal }) {
      const answers = await Promise.all([...nodes.keys()].map((name) => askOne(name, options, signal)));
      const [first] = answers.filter((answer) => answer !== undefined);
      return {
        serverVersion: first?.info.serverVersion ?? '',
        gitVersion: first?.info.gitVersion ?? '',
        storageStatuses: answers.flatMap((answer) => answer?.status ?? []),
      };
    },
    async diskStatistics(_, { signal }) {
      const answers = await Promise.all(
        [...nodes.values()].flat().map(async ({ connection, storage }) => {
          try {
            return await connection.server.diskStatistics({}, { signal });
          } catch (error) {
            // Without the node's code and message, as in Gitaly.
            const text = `error when requesting disk statistics from internal storage ${storage}`;
            throw new Error(text, { cause: error });
          }
        }),
      );
      return { storageStatuses: answers.flatMap(({ storageStatuses }) => storageStatuses) };
    },
    clockSynced,
    async readinessCheck({ timeout }) {
      const timeoutMs = timeout === undefined ? 0 : durationMs(timeout);
      return readiness(await failedChecks(timeoutMs > 0 ? timeoutMs : READINESS_LIMIT_MS));
    },
    async serverSignature(_, { signal }) {
      let publicKey: Uint8Array | undefined;
      for (const { connection, storage } of [...nodes.values()].flat()) {
        const response = await connection.server.serverSignature({}, { signal }).catch((error: unknown) => {
          throw wrap(asGoStatus(error), `request signature from Praefect storage ${quote(storage)}`);
        });
        publicKey ??= response.publicKey;
        if (Buffer.compare(publicKey, response.publicKey) !== 0)
          throw new Error(`signature mismatch with Praefect storage ${quote(storage)}`);
      }
      return publicKey === undefined ? {} : { publicKey };
    },
  });
}

function readiness(
  failures: ReadonlyMap<string, string>,
): MessageInitShape<typeof ReadinessCheckResponseSchema> {
  if (failures.size === 0) return { Result: { case: 'okResponse', value: {} } };
  const failedChecks = [...failures].map(([name, errorMessage]) => ({ name, errorMessage }));
  return { Result: { case: 'failureResponse', value: { failedChecks } } };
}

/** Calls a healthy node, if there is one. */
async function askOne(
  virtualStorage: string,
  { isHealthy, logger, nodes }: ServerServiceOptions,
  signal: AbortSignal,
): Promise<{ info: ServerInfoResponse; status: ServerInfoResponse['storageStatuses'] } | undefined> {
  const ofStorage = nodes.get(virtualStorage) ?? [];
  const node = ofStorage.find(isHealthy) ?? ofStorage[0];
  if (node === undefined) return undefined;
  try {
    const info = await node.connection.server.serverInfo({}, { signal });
    const status = info.storageStatuses.filter(({ storageName }) => storageName === node.storage).slice(0, 1);
    for (const one of status) {
      one.storageName = virtualStorage;
      one.replicationFactor = ofStorage.length;
      if (ofStorage.length > 1) one.filesystemId = filesystemId(virtualStorage);
    }
    return { info, status };
  } catch (error) {
    logger.error({ storage: node.storage, error: messageOf(error) }, 'error getting server info');
    return undefined;
  }
}

/** Returns the UUID of a virtual storage by its name (RFC 9562, version 5). */
function filesystemId(virtualStorage: string): string {
  const hash = createHash('sha1')
    .update(Buffer.from(FILESYSTEM_NAMESPACE, 'hex'))
    .update(virtualStorage)
    .digest();
  hash.writeUInt8((hash.readUInt8(6) & 0x0f) | 0x50, 6);
  hash.writeUInt8((hash.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = hash.toString('hex', 0, 16);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
