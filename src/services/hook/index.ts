import type { ServiceImplementation } from '#rpc/server/handler';
import type { HookService } from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';
import { packObjectsHook, packObjectsHookWithSidechannel } from './pack-objects-hook.ts';
import { procReceiveHook } from './proc-receive-hook.ts';
import { postReceiveHook, preReceiveHook, referenceTransactionHook, updateHook } from './run-hooks.ts';

/**
 * Implements the service that answers the hook programs of git. Pushes of this server do not use it
 * (see src/hook); other programs may.
 */
export function hookService(deps: HookDependencies): ServiceImplementation<typeof HookService> {
  return {
    packObjectsHook: (requests, context) => packObjectsHook(requests, context, deps),
    packObjectsHookWithSidechannel: (request, context) =>
      packObjectsHookWithSidechannel(request, context, deps),
    postReceiveHook: (requests, context) => postReceiveHook(requests, context, deps),
    preReceiveHook: (requests, context) => preReceiveHook(requests, context, deps),
    procReceiveHook: (requests) => procReceiveHook(requests),
    referenceTransactionHook: (requests, context) => referenceTransactionHook(requests, context, deps),
    updateHook: (request, context) => updateHook(request, context, deps),
  };
}
