import type { HookManager } from '#domain/hooks/hook-manager';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { HookService } from '#wire/gen/hook_pb';
import { packObjectsHook } from './pack-objects-hook.ts';
import { packObjectsHookWithSidechannel } from './pack-objects-hook-with-sidechannel.ts';
import { postReceiveHook } from './post-receive-hook.ts';
import { preReceiveHook } from './pre-receive-hook.ts';
import { procReceiveHook } from './proc-receive-hook.ts';
import { referenceTransactionHook } from './reference-transaction-hook.ts';
import { updateHook } from './update-hook.ts';

export interface HookRooms {
  readonly storages: Storages;
  readonly hooks: HookManager;
}

/** What a hook program of git asks the server. Pushes of this server do not come this way (see src/hook); other programs may. */
export function hookService(rooms: HookRooms): ServiceImplementation<typeof HookService> {
  return {
    packObjectsHook: (requests, context) => packObjectsHook(requests, context, rooms),
    packObjectsHookWithSidechannel: (request, context) => packObjectsHookWithSidechannel(request, context, rooms),
    postReceiveHook: (requests, context) => postReceiveHook(requests, context, rooms),
    preReceiveHook: (requests, context) => preReceiveHook(requests, context, rooms),
    procReceiveHook: (requests) => procReceiveHook(requests),
    referenceTransactionHook: (requests, context) => referenceTransactionHook(requests, context, rooms),
    updateHook: (request, context) => updateHook(request, context, rooms),
  };
}
