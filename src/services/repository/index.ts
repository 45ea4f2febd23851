import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import type { HandlerContext, ServiceImplementation } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { Vote } from '#storage/voter';
import type { RepositoryService } from '#wire/gen/repository_pb';
import { createRepository } from './create-repository.ts';
import { getObjectDirectorySize } from './get-object-directory-size.ts';
import { hasLocalBranches } from './has-local-branches.ts';
import { objectFormat } from './object-format.ts';
import { removeRepository } from './remove-repository.ts';
import { repositoryExists } from './repository-exists.ts';
import { repositoryInfo } from './repository-info.ts';
import { repositorySize } from './repository-size.ts';
import { writeRef } from './write-ref.ts';

export interface RepositoryRooms {
  readonly storages: Storages;
  /** How the call takes part in the vote of a cluster; `undefined` when nothing is voted on. */
  readonly voteOf: (context: HandlerContext) => Vote | undefined;
  /** How git takes part in that vote when the call changes references; `undefined` when nothing is voted on. No user's hooks run. */
  readonly transactionHooks: (context: HandlerContext, repository: Repository) => TransactionHooks | undefined;
}

/** Repositories as a whole: making, removing, looking at them. */
export function repositoryService(rooms: RepositoryRooms): ServiceImplementation<typeof RepositoryService> {
  return {
    createRepository: (request, context) => createRepository(request, context, rooms),
    getObjectDirectorySize: (request) => getObjectDirectorySize(request, rooms),
    hasLocalBranches: (request, context) => hasLocalBranches(request, context, rooms),
    objectFormat: (request) => objectFormat(request, rooms),
    removeRepository: (request, context) => removeRepository(request, context, rooms),
    repositoryExists: (request) => repositoryExists(request, rooms),
    repositoryInfo: (request) => repositoryInfo(request, rooms),
    repositorySize: (request) => repositorySize(request, rooms),
    writeRef: (request, context) => writeRef(request, context, rooms),
  };
}
