import { ZERO_OID } from '#testkit/repositories/push';
import { bytes, type CallSetting, TIMESTAMP, USER, type VotingCall } from './call-setting.ts';

/** Calls that name references themselves. */
export const REFERENCE_CALLS: readonly VotingCall[] = [
  ...(
    [
      ['a new branch', 'refs/heads/new', 'after', ''],
      ['an existing branch', 'refs/heads/loose', 'after', ''],
      ['an existing branch with its old value', 'refs/heads/loose', 'after', 'main'],
      ['the value that a branch has', 'refs/heads/loose', 'main', ''],
    ] as const
  ).map(([what, ref, revision, old]) => ({
    name: `WriteRef of ${what}`,
    run: ({ connection, repository, ids, options }: CallSetting) =>
      connection.repository.writeRef(
        {
          repository,
          ref: bytes(ref),
          revision: bytes(ids[revision]),
          oldRevision: bytes(old === '' ? '' : ids[old]),
        },
        options,
      ),
  })),
  {
    name: 'WriteRef of HEAD',
    run: ({ connection, repository, options }) =>
      connection.repository.writeRef(
        { repository, ref: bytes('HEAD'), revision: bytes('refs/heads/topic') },
        options,
      ),
  },
  {
    name: 'UpdateReferences of a new, a changed and a deleted branch',
    run: ({ connection, repository, ids, options }) =>
      connection.ref.updateReferences(
        [
          {
            repository,
            updates: [
              {
                reference: bytes('refs/heads/new'),
                newObjectId: bytes(ids.after),
                oldObjectId: bytes(ZERO_OID),
              },
              { reference: bytes('refs/heads/loose'), newObjectId: bytes(ids.after) },
              {
                reference: bytes('refs/heads/packed'),
                newObjectId: bytes(ZERO_OID),
                oldObjectId: bytes(ids.main),
              },
            ],
          },
        ],
        options,
      ),
  },
  ...(
    [
      ['a loose branch', ['loose']],
      ['a packed branch', ['packed']],
      ['both kinds', ['loose', 'packed']],
      ['no branch', ['missing']],
    ] as const
  ).map(([what, names]) => ({
    name: `DeleteRefs of ${what}`,
    run: ({ connection, repository, options }: CallSetting) =>
      connection.ref.deleteRefs(
        { repository, refs: names.map((each) => bytes(`refs/heads/${each}`)) },
        options,
      ),
  })),
  {
    name: 'DeleteRefs except with a prefix',
    run: ({ connection, repository, options }) =>
      connection.ref.deleteRefs({ repository, exceptWithPrefix: [bytes('refs/heads/')] }, options),
  },
];

/** Branches and tags of users, with access checks and hooks. */
export const BRANCH_CALLS: readonly VotingCall[] = [
  {
    name: 'UserCreateBranch',
    run: ({ connection, repository, ids, options }) =>
      connection.operation.userCreateBranch(
        { repository, user: USER, branchName: bytes('new'), startPoint: bytes(ids.after) },
        options,
      ),
  },
  {
    name: 'UserUpdateBranch',
    run: ({ connection, repository, ids, options }) =>
      connection.operation.userUpdateBranch(
        {
          repository,
          user: USER,
          branchName: bytes('loose'),
          newrev: bytes(ids.after),
          oldrev: bytes(ids.main),
        },
        options,
      ),
  },
  ...['loose', 'packed'].map((name) => ({
    name: `UserDeleteBranch of a ${name} branch`,
    run: ({ connection, repository, options }: CallSetting) =>
      connection.operation.userDeleteBranch({ repository, user: USER, branchName: bytes(name) }, options),
  })),
  ...(
    [
      ['a lightweight tag', ''],
      ['an annotated tag', 'two'],
    ] as const
  ).map(([what, text]) => ({
    name: `UserCreateTag of ${what}`,
    run: ({ connection, repository, ids, options }: CallSetting) =>
      connection.operation.userCreateTag(
        {
          repository,
          user: USER,
          tagName: bytes('v2'),
          targetRevision: bytes(ids.main),
          message: bytes(text),
          timestamp: TIMESTAMP,
        },
        options,
      ),
  })),
  ...['v1', 'light'].map((name) => ({
    name: `UserDeleteTag of ${name}`,
    run: ({ connection, repository, options }: CallSetting) =>
      connection.operation.userDeleteTag({ repository, user: USER, tagName: bytes(name) }, options),
  })),
  {
    name: 'UserFFBranch',
    run: ({ connection, repository, ids, options }) =>
      connection.operation.userFFBranch(
        { repository, user: USER, branch: bytes('main'), commitId: ids.after },
        options,
      ),
  },
];
