import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { nestDirectories } from '#testkit/repositories/generated/deep-trees';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { startGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';

const repository = { storageName: 'default', relativePath: 'r.git' };
/** A few above the limit; at 10,000 levels git failed with a segmentation fault. */
const TOO_MANY_LEVELS = 2100;
const TOO_DEEP = /directories are nested deeper than 2048 levels/;

test('calls that merge refuse trees that are nested too deep for git', async () => {
  await using fixture = await StorageFixture.create();
  const deep = fixture.init('deep.git');
  await nestDirectories(deep, TOO_MANY_LEVELS);
  await using gitaly = await startGitaly();
  const path = join(gitaly.storagePath(), 'r.git');
  cpSync(deep.path, path, { recursive: true });
  const [ours, theirs, base] = ['ours', 'theirs', 'base'].map((name) => gitOutput(path, ['rev-parse', name]));
  assert.ok(ours !== undefined && theirs !== undefined && base !== undefined);
  const { operation, conflicts } = gitaly.connection;
  const [branch, message] = [Buffer.from('ours'), Buffer.from('m')];
  const [firstParentRef, targetRef] = [
    Buffer.from('refs/heads/ours'),
    Buffer.from('refs/merge-requests/1/x'),
  ];
  const commit = { id: theirs };
  const calls = {
    ListConflictFiles: () =>
      Array.fromAsync(
        conflicts.listConflictFiles({ repository, ourCommitOid: ours, theirCommitOid: theirs }),
      ),
    UserRebaseToRef: () =>
      operation.userRebaseToRef({ repository, user: USER, sourceSha: theirs, firstParentRef, targetRef }),
    UserMergeToRef: () =>
      operation.userMergeToRef({
        repository,
        user: USER,
        sourceSha: theirs,
        firstParentRef,
        targetRef,
        message,
      }),
    UserSquash: () =>
      operation.userSquash({
        repository,
        user: USER,
        author: USER,
        startSha: ours,
        endSha: theirs,
        commitMessage: message,
      }),
    UserCherryPick: () =>
      operation.userCherryPick({ repository, user: USER, commit, branchName: branch, message }),
    UserRevert: () => operation.userRevert({ repository, user: USER, commit, branchName: branch, message }),
    UserApplyPatch: () =>
      operation.userApplyPatch([
        {
          userApplyPatchRequestPayload: {
            case: 'header',
            value: { repository, user: USER, targetBranch: branch },
          },
        },
      ]),
  };

  for (const [rpc, call] of Object.entries(calls)) {
    await assert.rejects(
      call(),
      (error: Error & { code?: string }) => {
        const isMergeToRef = rpc === 'UserMergeToRef'; // whose errors have one text
        assert.match(error.message, isMergeToRef ? /Failed to create merge commit/ : TOO_DEEP, rpc);
        assert.equal(error.code, 'FAILED_PRECONDITION', rpc);
        return true;
      },
      rpc,
    );
  }
});

test('trees that are nested as deep as a path can be are merged', async () => {
  await using fixture = await StorageFixture.create();
  const deep = fixture.init('deep.git');
  await nestDirectories(deep, 2040);
  await using gitaly = await startGitaly();
  cpSync(deep.path, join(gitaly.storagePath(), 'r.git'), { recursive: true });
  const [ours, theirs] = ['ours', 'theirs'].map((name) => gitOutput(deep.path, ['rev-parse', name]));
  assert.ok(ours !== undefined && theirs !== undefined);

  const answers = await Array.fromAsync(
    gitaly.connection.conflicts.listConflictFiles({
      repository,
      ourCommitOid: ours,
      theirCommitOid: theirs,
    }),
  );

  const [file] = answers.flatMap(({ files }) => files);
  assert.ok(file?.conflictFilePayload.case === 'header');
  assert.equal(file.conflictFilePayload.value.theirPath.length, 2 * 2040 + 1);
});
