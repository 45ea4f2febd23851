import { clockSynced } from '#rpc/common/clock-synced';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { ServerService } from '#wire/gen/server_pb';
import type { ServerDependencies } from './dependencies.ts';
import { diskStatistics } from './disk-statistics.ts';
import { readinessCheck } from './readiness-check.ts';
import { serverInfo } from './server-info.ts';
import { serverSignature } from './server-signature.ts';

/** Implements the service that describes this server. */
export function serverService(deps: ServerDependencies): ServiceImplementation<typeof ServerService> {
  return {
    serverInfo: () => serverInfo(deps),
    diskStatistics: (_request, context) => diskStatistics(context, deps),
    clockSynced,
    readinessCheck: () => readinessCheck(deps),
    serverSignature: () => serverSignature(deps),
  };
}
