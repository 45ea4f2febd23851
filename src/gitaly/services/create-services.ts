import type { PackLimits } from '#domain/pack-objects/pack-limits';
import { type ServedService, serve } from '#rpc/server/handler';
import { healthService } from '#rpc/server/health';
import { reflectionServices } from '#rpc/server/reflection';
import { namespaceService } from '#services/namespace/index';
import { wikiService } from '#services/wiki/index';
import { servedByGitaly } from '#wire/methods';
import type { Foundation } from '../foundation.ts';
import type { ServerRepositories } from '../repositories.ts';
import { gitProtocolServices } from './git-protocol.ts';
import { readingServices } from './reading.ts';
import { repositoryServices } from './repositories.ts';
import type { ServiceFoundation } from './service-foundation.ts';
import { createSharedOperations } from './shared-operations.ts';
import { writingServices } from './writing.ts';

/**
 * Creates all services of a gitaly on shared domain operations. Methods that are not implemented
 * return UNIMPLEMENTED. `resources` releases what the services use.
 */
export async function createServices(
  foundation: Foundation,
  repositories: ServerRepositories,
  packLimits: PackLimits,
  resources: AsyncDisposableStack,
): Promise<readonly ServedService[]> {
  const { storages } = repositories;
  const operations = await createSharedOperations(foundation, storages, resources);
  const shared: ServiceFoundation = { ...foundation, ...repositories, ...operations };
  const built = [
    ...(await readingServices(shared, resources)),
    ...writingServices(shared),
    ...(await repositoryServices(shared, resources)),
    ...(await gitProtocolServices(shared, packLimits, resources)),
    // Only clients of older releases call these two.
    namespaceService({ storages }),
    wikiService({ storages, hooks: shared.hooks }),
  ];
  const names = new Set(built.map(({ service }) => service.typeName));
  const rest = servedByGitaly
    .filter(({ typeName }) => !names.has(typeName))
    .map((service) => serve(service, {}));
  const served = [...built, ...rest, healthService(storages.presence)];
  return [...served, ...reflectionServices(served)];
}
