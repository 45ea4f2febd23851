import { createHash } from 'node:crypto';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { Logger } from '#platform/log/logger';
import { clockSynced } from '#rpc/common/clock-synced';
import { type ServedService, serve } from '#rpc/server/handler';
import {
  type ReadinessCheckResponseSchema,
  type ServerInfoResponse,
  ServerService,
} from '#wire/gen/server_pb';
import type { GitalyNode } from '../nodes/gitaly-node.ts';

/** Limit of the checks when the caller sets none. */
const READINESS_LIMIT_MS = 30_000;
/** Namespace of the ids of virtual storages (UUID version 5). */
const FILESYSTEM_NAMESPACE = '1ef1a8c6cf524d0a92a6ca643e8bc7c5';

export interface ServerServiceParts {
  /** Nodes by virtual storage. */
  readonly nodes: ReadonlyMap<string, readonly GitalyNode[]>;
  readonly logger: Logger;
  /** Runs the checks of the cluster; empty without a failure. */
  readonly failedChecks: (timeoutMs: number) => Promise<ReadonlyMap<string, string>>;
}

/** Facts about a cluster: its virtual storages look like the storages of one Gitaly. */
export function serverService({ failedChecks, nodes, logger }: ServerServiceParts): ServedService {
  return serve(ServerService, {
    async serverInfo(_, { signal }) {
      const answers = await Promise.all(
        [...nodes].map(([name, ofStorage]) => askAny(name, ofStorage, { logger, signal })),
      );
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
            throw wrap(error, `error when requesting disk statistics from internal storage ${storage}`);
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
          throw wrap(error, `request signature from Praefect storage ${quote(storage)}`);
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

async function askAny(
  virtualStorage: string,
  nodes: readonly GitalyNode[],
  { logger, signal }: { logger: Logger; signal: AbortSignal },
): Promise<{ info: ServerInfoResponse; status: ServerInfoResponse['storageStatuses'] } | undefined> {
  const [node] = nodes;
  if (node === undefined) return undefined;
  try {
    const info = await node.connection.server.serverInfo({}, { signal });
    const status = info.storageStatuses.filter(({ storageName }) => storageName === node.storage).slice(0, 1);
    for (const one of status) {
      one.storageName = virtualStorage;
      one.replicationFactor = nodes.length;
      if (nodes.length > 1) one.filesystemId = filesystemId(virtualStorage);
    }
    return { info, status };
  } catch (error) {
    logger.error({ virtual_storage: virtualStorage, error: messageOf(error) }, 'error getting server info');
    return undefined;
  }
}

/** The UUID of a virtual storage by its name (RFC 9562, version 5). */
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
