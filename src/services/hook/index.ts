import { serveWith } from '#rpc/server/handler';
import { HookService } from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';
import { packObjectsHook, packObjectsHookWithSidechannel } from './pack-objects-hook.ts';
import { procReceiveHook } from './proc-receive-hook.ts';
import { postReceiveHook, preReceiveHook, referenceTransactionHook, updateHook } from './run-hooks.ts';

/**
 * Implements the service that answers the hook programs of git. Pushes of this server do not use it
 * (see src/hook); other programs may.
 */
export function hookService(deps: HookDependencies) {
  return serveWith(HookService, deps, {
    packObjectsHook,
    packObjectsHookWithSidechannel,
    postReceiveHook,
    preReceiveHook,
    procReceiveHook: (requests) => procReceiveHook(requests),
    referenceTransactionHook,
    updateHook,
  });
}
