import type { HookManager } from '#domain/hooks/hook-manager';
import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { OperationService } from '#wire/gen/operations_pb';
import { userCreateBranch } from './user-create-branch.ts';
import { userCreateTag } from './user-create-tag.ts';
import { userDeleteBranch } from './user-delete-branch.ts';
import { userDeleteTag } from './user-delete-tag.ts';
import { userUpdateBranch } from './user-update-branch.ts';

export interface OperationRooms {
  readonly storages: Storages;
  readonly hooks: HookManager;
}

/** Changes on behalf of users: what they would push, made by the server. */
export function operationService(rooms: OperationRooms): ServiceImplementation<typeof OperationService> {
  return {
    userCreateBranch: (request, context) => userCreateBranch(request, context, rooms),
    userCreateTag: (request, context) => userCreateTag(request, context, rooms),
    userDeleteBranch: (request, context) => userDeleteBranch(request, context, rooms),
    userDeleteTag: (request, context) => userDeleteTag(request, context, rooms),
    userUpdateBranch: (request, context) => userUpdateBranch(request, context, rooms),
  };
}
