import { statfs } from 'node:fs/promises';
import type { MessageInitShape } from '@bufbuild/protobuf';
import { wrapped } from '#base/gitaly-error';
import { systemErrorText } from '#base/go/system-error';
import { clockSynced } from '#rpc/common/clock-synced';
import { type HandlerContext, type ResponseOf, serveWith } from '#rpc/server/handler';
import type { Storage } from '#storage/repository-target';
import {
  type DiskStatisticsResponse_StorageStatusSchema,
  type ReadinessCheckResponseSchema,
  ServerService,
} from '#wire/gen/server_pb';
import type { Handlers, ServerDependencies } from './dependencies.ts';
import { serverInfo } from './server-info.ts';

type StorageStatus = MessageInitShape<typeof DiskStatisticsResponse_StorageStatusSchema>;

/** Implements the service that describes this server. */
export function serverService(deps: ServerDependencies) {
  return serveWith(ServerService, deps, {
    serverInfo,
    diskStatistics,
    clockSynced,
    readinessCheck: () => readinessCheck(deps),
    serverSignature,
  });
}

/** Reports that the server is ready, or which storages are gone. */
async function readinessCheck({
  storages,
}: ServerDependencies): ResponseOf<typeof ReadinessCheckResponseSchema> {
  const failedChecks = (await storages.presence.problems()).map((errorMessage) => ({
    name: 'storages',
    errorMessage,
  }));
  if (failedChecks.length === 0) return { Result: { case: 'okResponse', value: {} } };
  return { Result: { case: 'failureResponse', value: { failedChecks } } };
}

/**
 * Returns the public half of the server's signing key as a line of an `authorized_keys` file; empty
 * without a key.
 *
 * @throws {GitalyError} INTERNAL when the key cannot be read, and for an OpenPGP key, whose public
 * half Gitaly does not return either.
 */
const serverSignature: Handlers['serverSignature'] = async (_request, _context, deps) => {
  const key = await deps.signingKeys?.current().catch(wrapped('failed to parse signing key'));
  if (key === undefined) return {};
  if (key.publicLine === undefined)
    throw new Error('failed to fetch public key: gpg public key not implemented');
  return { publicKey: Buffer.from(key.publicLine) };
};

/**
 * Returns the free and used bytes of the storages' file systems. A storage whose call fails is
 * listed without numbers.
 */
const diskStatistics: Handlers['diskStatistics'] = async (_request, context, deps) => {
  return {
    storageStatuses: await Promise.all(deps.storages.all.map((storage) => storageStatus(storage, context))),
  };
};

async function storageStatus(storage: Storage, context: HandlerContext): Promise<StorageStatus> {
  try {
    const { bavail, bfree, blocks, bsize } = await statfs(storage.path, { bigint: true });
    return { storageName: storage.name, available: bavail * bsize, used: (blocks - bfree) * bsize };
  } catch (error) {
    context.log.add({ [`disk_statistics_error.${storage.name}`]: systemErrorText(error) });
    return { storageName: storage.name };
  }
}
