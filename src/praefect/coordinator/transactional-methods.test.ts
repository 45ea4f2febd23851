import assert from 'node:assert/strict';
import { test } from 'node:test';
import { methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';
import { isTransactional } from './transactional-methods.ts';

// Gitaly 19.0's list, and the additional methods of 15.0.
const OF_19 = `
  CleanupService/{ApplyBfgObjectMapStream,RewriteHistory} ConflictsService/{ResolveConflicts}
  ObjectPoolService/{DisconnectGitAlternates,FetchIntoObjectPool,LinkRepositoryToObjectPool}
  OperationService/{UserApplyPatch,UserCherryPick,UserCommitFiles,UserCreateBranch,UserCreateTag}
  OperationService/{UserDeleteBranch,UserDeleteTag,UserFFBranch,UserMergeBranch,UserMergeToRef}
  OperationService/{UserRebaseToRef,UserRebaseConfirmable,UserRevert,UserSquash,UserUpdateBranch}
  OperationService/{UserUpdateSubmodule} RefService/{DeleteRefs,UpdateReferences}
  RepositoryService/{CreateFork,CreateRepository,CreateRepositoryFromBundle}
  RepositoryService/{CreateRepositoryFromSnapshot,CreateRepositoryFromURL,FetchBundle,FetchRemote}
  RepositoryService/{FetchSourceBranch,MigrateReferenceBackend,RemoveRepository,ReplicateRepository}
  RepositoryService/{RestoreCustomHooks,RestoreRepository,SetCustomHooks,WriteRef}
  SSHService/{SSHReceivePack} SmartHTTPService/{PostReceivePack} HookService/{ProcReceiveHook}
  CommitService/{CommitLanguages}`;
const OF_15 = `
  RepositoryService/{ApplyGitattributes,SetFullPath} WikiService/{WikiUpdatePage,WikiWritePage}`;

function namesIn(list: string): string[] {
  return [...list.matchAll(/(\w+)\/\{([\w,]+)\}/g)].flatMap(([, service, methods = '']) =>
    methods.split(',').map((method) => `${service}/${method}`),
  );
}

const expected = namesIn(OF_19 + OF_15);
const voting = gitalyServices
  .flatMap(({ methods }) => methods.map(methodInfo))
  .filter(isTransactional)
  .map(({ path }) => path.slice('/gitaly.'.length));

test('the nodes vote in every method in which those of Gitaly vote', () => {
  assert.deepEqual(
    expected.filter((name) => !voting.includes(name)),
    [],
  );
});

test('the nodes vote in no other method', () => {
  assert.deepEqual(
    voting.filter((name) => !expected.includes(name)),
    [],
  );
});
