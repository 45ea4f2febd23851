import type { SigningKeys } from '#domain/signing/signing-keys';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { ServerService } from '#wire/gen/server_pb';
import { clockSynced } from './clock-synced.ts';
import { diskStatistics } from './disk-statistics.ts';
import { readinessCheck } from './readiness-check.ts';
import { serverInfo } from './server-info.ts';
import { serverSignature } from './server-signature.ts';

export interface ServerRooms {
  readonly storages: Storages;
  /** Version that clients are told, without a leading `v`. */
  readonly serverVersion: string;
  /** The keys that commits are signed with, if there are any. */
  readonly signingKeys: SigningKeys | undefined;
}

/** What a server says about itself. */
export function serverService(rooms: ServerRooms): ServiceImplementation<typeof ServerService> {
  return {
    serverInfo: () => serverInfo(rooms),
    diskStatistics: (_request, context) => diskStatistics(context, rooms),
    clockSynced,
    readinessCheck,
    serverSignature: () => serverSignature(rooms),
  };
}
