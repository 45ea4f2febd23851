import { CallError } from '#client/call/call-error';
import { HealthCheckResponse_ServingStatus } from '#wire/gen/grpc/health/v1/health_pb';
import type {
  DiskStatisticsResponse,
  DiskStatisticsResponse_StorageStatus,
  ReadinessCheckResponse,
  ServerInfoResponse,
  ServerInfoResponse_StorageStatus,
} from '#wire/gen/server_pb';
import type { StorageCaller } from './storage-calls.ts';

/** The server of a storage. @see GitLab: Gitlab::GitalyClient::ServerService */
export class ServerService {
  readonly #client: StorageCaller;
  readonly #storage: string;

  constructor(client: StorageCaller, storage: string) {
    this.#client = client;
    this.#storage = storage;
  }

  /** Returns the versions of the server and its git, and the states of its storages. */
  info(): Promise<ServerInfoResponse> {
    return this.#client.call(this.#storage, (gitaly) => gitaly.server.serverInfo({}), { timeout: 'fast' });
  }

  /** Returns the state of this storage; `undefined` if the server does not know its name. */
  async storageInfo(): Promise<ServerInfoResponse_StorageStatus | undefined> {
    const { storageStatuses } = await this.info();
    return storageStatuses.find(({ storageName }) => storageName === this.#storage);
  }

  /** Returns the free and the used bytes of all storages of the server. */
  diskStatistics(): Promise<DiskStatisticsResponse> {
    return this.#client.call(this.#storage, (gitaly) => gitaly.server.diskStatistics({}), {
      timeout: 'fast',
    });
  }

  /** Returns the free and the used bytes of this storage. */
  async storageDiskStatistics(): Promise<DiskStatisticsResponse_StorageStatus | undefined> {
    const { storageStatuses } = await this.diskStatistics();
    return storageStatuses.find(({ storageName }) => storageName === this.#storage);
  }

  /** Checks what the server needs; failed checks are in the response. */
  readinessCheck(): Promise<ReadinessCheckResponse> {
    return this.#client.call(this.#storage, (gitaly) => gitaly.server.readinessCheck({}), {
      timeout: 'default',
    });
  }

  /** Returns the public key with which the server signs commits. */
  async serverSignature(): Promise<Uint8Array> {
    const { publicKey } = await this.#client.call(
      this.#storage,
      (gitaly) => gitaly.server.serverSignature({}),
      { timeout: 'fast' },
    );
    return publicKey;
  }
}

/** The health of a storage's server. @see GitLab: Gitlab::GitalyClient::HealthCheckService */
export class HealthCheckService {
  readonly #client: StorageCaller;

  constructor(client: StorageCaller) {
    this.#client = client;
  }

  /** Checks a server. A failed call is a result with its message; other errors are thrown. */
  async check(storage: string): Promise<{ readonly success: boolean; readonly message?: string }> {
    try {
      const { status } = await this.#client.call(storage, (gitaly) => gitaly.health.check({}), {
        timeout: 'fast',
      });
      return { success: status === HealthCheckResponse_ServingStatus.SERVING };
    } catch (error) {
      if (!(error instanceof CallError)) throw error;
      return { success: false, message: error.message };
    }
  }
}
