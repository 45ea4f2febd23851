import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { RefService } from '#wire/gen/ref_pb';
import { findDefaultBranchName } from './find-default-branch-name.ts';
import { refExists } from './ref-exists.ts';

export interface RefRooms {
  readonly storages: Storages;
}

/** Branches, tags and other references. */
export function refService(rooms: RefRooms): ServiceImplementation<typeof RefService> {
  return {
    findDefaultBranchName: (request, context) => findDefaultBranchName(request, context, rooms),
    refExists: (request, context) => refExists(request, context, rooms),
  };
}
