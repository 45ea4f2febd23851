import type { ServiceImplementation } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { CommitService } from '#wire/gen/commit_pb';
import { findCommit } from './find-commit.ts';

export interface CommitRooms {
  readonly storages: Storages;
}

/** Commits and what hangs on them. */
export function commitService(rooms: CommitRooms): ServiceImplementation<typeof CommitService> {
  return {
    findCommit: (request, context) => findCommit(request, context, rooms),
  };
}
