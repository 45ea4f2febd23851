import { bytes, type CallSetting, drain, TIMESTAMP, USER, type VotingCall } from './call-setting.ts';

const MAIN = bytes('main');
const message = bytes('change');

/** Calls that create commits. */
export const COMMIT_CALLS: readonly VotingCall[] = [
  ...(
    [
      ['an existing branch', 'main', ''],
      ['a new branch', 'new', 'main'],
    ] as const
  ).map(([what, branch, start]) => ({
    name: `UserCommitFiles on ${what}`,
    run: ({ connection, repository, options }: CallSetting) =>
      connection.operation.userCommitFiles(
        [
          {
            userCommitFilesRequestPayload: {
              case: 'header',
              value: {
                repository,
                user: USER,
                branchName: bytes(branch),
                startBranchName: bytes(start),
                commitMessage: message,
                timestamp: TIMESTAMP,
              },
            },
          },
          action({ case: 'header', value: { action: 0, filePath: bytes('new') } }),
          action({ case: 'content', value: bytes('new\n') }),
        ],
        options,
      ),
  })),
  {
    name: 'UserMergeBranch',
    run: ({ connection, repository, ids, options }) =>
      drain(
        connection.operation.userMergeBranch(
          [
            { repository, user: USER, branch: MAIN, commitId: ids.topic, message, timestamp: TIMESTAMP },
            { apply: true },
          ],
          options,
        ),
      ),
  },
  {
    name: 'UserMergeToRef',
    run: ({ connection, repository, ids, options }) =>
      connection.operation.userMergeToRef(
        {
          repository,
          user: USER,
          sourceSha: ids.topic,
          firstParentRef: bytes('refs/heads/main'),
          targetRef: bytes('refs/merge-requests/1/merge'),
          message,
          timestamp: TIMESTAMP,
        },
        options,
      ),
  },
  {
    name: 'UserRebaseToRef',
    run: ({ connection, repository, ids, options }) =>
      connection.operation.userRebaseToRef(
        {
          repository,
          user: USER,
          sourceSha: ids.topic,
          firstParentRef: bytes('refs/heads/main'),
          targetRef: bytes('refs/merge-requests/1/train'),
          timestamp: TIMESTAMP,
        },
        options,
      ),
  },
  {
    name: 'UserRebaseConfirmable',
    run: ({ connection, repository, ids, options }) =>
      drain(
        connection.operation.userRebaseConfirmable(
          [
            {
              userRebaseConfirmableRequestPayload: {
                case: 'header',
                value: {
                  repository,
                  user: USER,
                  branch: bytes('topic'),
                  branchSha: ids.topic,
                  remoteRepository: repository,
                  remoteBranch: MAIN,
                  timestamp: TIMESTAMP,
                },
              },
            },
            { userRebaseConfirmableRequestPayload: { case: 'apply', value: true } },
          ],
          options,
        ),
      ),
  },
  ...(['userCherryPick', 'userRevert'] as const).map((method) => ({
    name: method === 'userRevert' ? 'UserRevert' : 'UserCherryPick',
    run: ({ connection, repository, ids, options }: CallSetting) =>
      connection.operation[method](
        {
          repository,
          user: USER,
          branchName: bytes(method === 'userRevert' ? 'after' : 'main'),
          commit: { id: method === 'userRevert' ? ids.after : ids.pick },
          message,
          timestamp: TIMESTAMP,
        },
        options,
      ),
  })),
  {
    name: 'UserSquash',
    run: ({ connection, repository, ids, options }) =>
      connection.operation.userSquash(
        {
          repository,
          user: USER,
          author: USER,
          startSha: ids.base,
          endSha: ids.after,
          commitMessage: message,
          timestamp: TIMESTAMP,
        },
        options,
      ),
  },
  {
    name: 'UserApplyPatch',
    run: ({ connection, repository, options }) =>
      connection.operation.userApplyPatch(
        [
          {
            userApplyPatchRequestPayload: {
              case: 'header',
              value: { repository, user: USER, targetBranch: MAIN, timestamp: TIMESTAMP },
            },
          },
          { userApplyPatchRequestPayload: { case: 'patches', value: PATCH } },
        ],
        options,
      ),
  },
  {
    name: 'UserUpdateSubmodule',
    run: ({ connection, repository, options }) =>
      connection.operation.userUpdateSubmodule(
        {
          repository,
          user: USER,
          branch: MAIN,
          submodule: bytes('sub'),
          commitSha: '2'.repeat(40),
          commitMessage: message,
          timestamp: TIMESTAMP,
        },
        options,
      ),
  },
  {
    name: 'ResolveConflicts',
    run: ({ connection, repository, ids, options }) =>
      connection.conflicts.resolveConflicts(
        [
          {
            resolveConflictsRequestPayload: {
              case: 'header',
              value: {
                repository,
                targetRepository: repository,
                user: USER,
                sourceBranch: bytes('conflicting'),
                targetBranch: MAIN,
                ourCommitOid: ids.conflicting,
                theirCommitOid: ids.main,
                commitMessage: message,
                timestamp: TIMESTAMP,
              },
            },
          },
          { resolveConflictsRequestPayload: { case: 'filesJson', value: RESOLUTION } },
        ],
        options,
      ),
  },
];

type ActionPayload =
  | { readonly case: 'header'; readonly value: { readonly action: number; readonly filePath: Buffer } }
  | { readonly case: 'content'; readonly value: Buffer };

function action(payload: ActionPayload) {
  return {
    userCommitFilesRequestPayload: {
      case: 'action' as const,
      value: { userCommitFilesActionPayload: payload },
    },
  };
}

const PATCH = bytes(`From ${'1'.repeat(40)} Mon Sep 17 00:00:00 2001
From: Ann <a@x>
Date: Sun, 13 Sep 2020 12:26:40 +0000
Subject: [PATCH] add c

---
diff --git a/c b/c
new file mode 100644
index 0000000000000000000000000000000000000000..f2ad6c76f0115a6ba5b00456a849810e7ec0af20
--- /dev/null
+++ b/c
@@ -0,0 +1 @@
+c
--
2.39.0

`);

const RESOLUTION = bytes(JSON.stringify([{ old_path: 'a', new_path: 'a', content: 'resolved\n' }]));
