import assert from 'node:assert/strict';
import { test } from 'node:test';
import { create, type Message } from '@bufbuild/protobuf';
import type { Invocation } from '#client/call/call-types';
import { createClient } from '#client/call/typed-client';
import type { Connection } from '#client/connection';
import { answeringInvoke } from '#testkit/clients/recording-caller';
import { USER } from '#testkit/user';
import {
  OperationService as Service,
  UserCherryPickResponseSchema,
  UserCommitFilesResponseSchema,
  UserCreateBranchResponseSchema,
  UserCreateTagResponseSchema,
  UserDeleteBranchResponseSchema,
  UserDeleteTagResponseSchema,
  UserFFBranchResponseSchema,
  UserMergeBranchResponseSchema,
  UserRebaseConfirmableResponseSchema,
  UserRevertResponseSchema,
  UserSquashResponseSchema,
  UserUpdateBranchResponseSchema,
  UserUpdateSubmoduleResponseSchema,
} from '#wire/gen/operations_pb';
import { FindRemoteRootRefResponseSchema, RemoteService as Remotes } from '#wire/gen/remote_pb';
import { OperationService, RemoteService } from '../index.ts';
import type { StorageCaller } from './storage-calls.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'a.git' };
const MAIN = Buffer.from('main');
const OID = '1'.repeat(40);

/** A server that answers each call with one message. */
function answering(message: Message): { caller: StorageCaller; invocations: Invocation[] } {
  const { invoke, invocations } = answeringInvoke(message);
  const clients = { operation: createClient(Service, invoke), remote: createClient(Remotes, invoke) };
  // The calls below are of these two services.
  return { caller: { call: (_, work) => work(clients as unknown as Connection) }, invocations };
}

type Change = (service: OperationService) => Promise<unknown>;

const createBranch: Change = (service) => service.userCreateBranch('b', USER, 'main');
const addTag: Change = (service) => service.addTag('v1', USER, { target: 'main' });
const pick: Change = (service) =>
  service.userCherryPick({ user: USER, branchName: MAIN, message: Buffer.from('m') });
const revert: Change = (service) =>
  service.userRevert({ user: USER, branchName: MAIN, message: Buffer.from('m') });
const merge: Change = (service) => service.userMergeBranch({ user: USER, branch: MAIN, commitId: OID });
const rebase: Change = (service) => service.rebase({ user: USER, branch: MAIN, branchSha: OID });
const submodule: Change = (service) =>
  service.userUpdateSubmodule({ user: USER, branch: MAIN, submodule: Buffer.from('s'), commitSha: OID });
const squash: Change = (service) =>
  service.userSquash({ user: USER, author: USER, startSha: OID, endSha: OID });

const commit: Change = (service) =>
  service.userCommitFiles({ user: USER, branchName: MAIN }, [{ type: 'delete', path: 'a' }]);

const preReceiveError = 'GitLab: not allowed';

const REFUSALS: readonly (readonly [name: string, change: Change, answer: Message])[] = [
  ['userCreateBranch', createBranch, create(UserCreateBranchResponseSchema, { preReceiveError })],
  [
    'userUpdateBranch',
    (service) => service.userUpdateBranch('b', USER, { oldrev: OID, newrev: OID }),
    create(UserUpdateBranchResponseSchema, { preReceiveError }),
  ],
  [
    'userDeleteBranch',
    (service) => service.userDeleteBranch('b', USER),
    create(UserDeleteBranchResponseSchema, { preReceiveError }),
  ],
  ['addTag', addTag, create(UserCreateTagResponseSchema, { preReceiveError })],
  ['rmTag', (service) => service.rmTag('v1', USER), create(UserDeleteTagResponseSchema, { preReceiveError })],
  ['userMergeBranch', merge, create(UserMergeBranchResponseSchema, { preReceiveError })],
  [
    'userFfBranch',
    (service) => service.userFfBranch(USER, { commitId: OID, branch: 'main' }),
    create(UserFFBranchResponseSchema, { preReceiveError }),
  ],
  ['userCherryPick', pick, create(UserCherryPickResponseSchema, { preReceiveError })],
  ['userRevert', revert, create(UserRevertResponseSchema, { preReceiveError })],
  ['rebase', rebase, create(UserRebaseConfirmableResponseSchema, { preReceiveError })],
  ['userCommitFiles', commit, create(UserCommitFilesResponseSchema, { preReceiveError })],
  ['userUpdateSubmodule', submodule, create(UserUpdateSubmoduleResponseSchema, { preReceiveError })],
];

for (const [name, change, answer] of REFUSALS) {
  test(`${name} fails when Gitaly 15 reports the refusal of a hook in its response`, async () => {
    const { caller } = answering(answer);

    await assert.rejects(change(new OperationService(caller, REPOSITORY)), {
      code: 'PERMISSION_DENIED',
      name: 'PreReceiveError',
      message: 'not allowed',
    });
  });
}

const FAILURES: readonly (readonly [what: string, change: Change, answer: Message, error: object])[] = [
  [
    'an existing tag',
    addTag,
    create(UserCreateTagResponseSchema, { exists: true }),
    { name: 'TagExistsError' },
  ],
  [
    'a cherry-pick without a change',
    pick,
    create(UserCherryPickResponseSchema, { createTreeError: 'empty', createTreeErrorCode: 1 }),
    { name: 'CreateTreeError', errorCode: 'EMPTY' },
  ],
  [
    'a revert with a conflict',
    revert,
    create(UserRevertResponseSchema, { createTreeError: 'conflict', createTreeErrorCode: 2 }),
    { name: 'CreateTreeError', errorCode: 'CONFLICT' },
  ],
  [
    'a revert that changes a branch that moved',
    revert,
    create(UserRevertResponseSchema, { commitError: 'moved' }),
    { name: 'CommitError', message: 'moved' },
  ],
  [
    'a rebase with a conflict',
    rebase,
    create(UserRebaseConfirmableResponseSchema, { gitError: 'conflict' }),
    { message: /conflict/ },
  ],
  [
    'a squash with a conflict',
    squash,
    create(UserSquashResponseSchema, { gitError: 'conflict' }),
    { message: /conflict/ },
  ],
  [
    'a file that is not there',
    commit,
    create(UserCommitFilesResponseSchema, { indexError: 'no such file' }),
    { name: 'IndexError', message: 'no such file' },
  ],
  ['a merge without a result', merge, create(UserMergeBranchResponseSchema), { code: 'INTERNAL' }],
  [
    'a rebase that is not applied',
    rebase,
    create(UserRebaseConfirmableResponseSchema, {
      userRebaseConfirmableResponsePayload: { case: 'rebaseSha', value: OID },
    }),
    { code: 'INTERNAL' },
  ],
];

for (const [what, change, answer, error] of FAILURES) {
  test(`${what} in a response of Gitaly 15 is an error`, async () => {
    const { caller } = answering(answer);

    await assert.rejects(change(new OperationService(caller, REPOSITORY)), error);
  });
}

test('responses without errors have their results', async () => {
  const branch = { name: Buffer.from('b') };
  const created = answering(create(UserCreateBranchResponseSchema, { branch }));
  const service = new OperationService(created.caller, REPOSITORY);
  assert.deepEqual((await service.userCreateBranch('b', USER, 'main'))?.name, branch.name);
  assert.partialDeepStrictEqual(created.invocations[0]?.requests, [
    { repository: REPOSITORY, branchName: Buffer.from('b'), startPoint: MAIN },
  ]);

  const squashed = answering(create(UserSquashResponseSchema, { squashSha: OID }));
  assert.equal(await squash(new OperationService(squashed.caller, REPOSITORY)), OID);

  const picked = answering(create(UserCherryPickResponseSchema, { branchUpdate: { commitId: OID } }));
  assert.partialDeepStrictEqual(await pick(new OperationService(picked.caller, REPOSITORY)), {
    commitId: OID,
  });
});

test('findRemoteRootRef passes the address and the header, and returns the name', async () => {
  const { caller, invocations } = answering(create(FindRemoteRootRefResponseSchema, { ref: 'trunk' }));
  const remoteUrl = 'https://example.com/a.git';

  const service = new RemoteService(caller, REPOSITORY);

  assert.equal(await service.findRemoteRootRef(remoteUrl), 'trunk');
  assert.equal(await service.findRemoteRootRef(remoteUrl, 'Basic x'), 'trunk');
  assert.deepEqual(
    invocations.map(({ requests }) => requests),
    ['', 'Basic x'].map((httpAuthorizationHeader) => [
      { repository: REPOSITORY, remoteUrl, httpAuthorizationHeader },
    ]),
  );
});
