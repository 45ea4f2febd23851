import type { Foundation } from '../foundation.ts';
import type { ServerRepositories } from '../repositories.ts';
import type { createSharedOperations } from './shared-operations.ts';

/** All that the groups of services are built from. */
export interface ServiceFoundation
  extends Foundation,
    ServerRepositories,
    Awaited<ReturnType<typeof createSharedOperations>> {}
