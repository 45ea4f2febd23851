import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { CallError } from '#client/index';
import { MergeConflictError } from '#client/repository/errors';
import { arrangeServices } from '#testkit/clients/rails-fixture';
import { USER } from '#testkit/user';
import {
  CommitService,
  ConflictsService,
  CreateTreeError,
  OperationService,
  PreReceiveError,
} from '../index.ts';

const MAIN = Buffer.from('main');
const MESSAGE = Buffer.from('a message');
const ZEROS = '0'.repeat(40);

test('changes fail with the errors of Rails', async () => {
  await using arranged = await arrangeServices();
  const { client, git, name } = arranged;
  const service = new OperationService(client, name);
  const commit = await new CommitService(client, name).findCommit('topic');
  assert.ok(commit);
  const pick = { user: USER, commit, branchName: MAIN, message: MESSAGE };
  const header = { user: USER, branchName: MAIN, commitMessage: MESSAGE };

  await assert.rejects(service.userCherryPick(pick), (error) => {
    assert.ok(error instanceof CreateTreeError);
    assert.equal(error.errorCode, 'CONFLICT');
    assert.ok(error.cause instanceof MergeConflictError);
    return true;
  });
  await assert.rejects(service.userRevert(pick), { name: 'CreateTreeError', errorCode: 'CONFLICT' });
  await service.userCherryPick({
    ...pick,
    branchName: Buffer.from('new'),
    startBranchName: Buffer.from('main~'),
  });
  const again = { ...pick, branchName: Buffer.from('new') };
  await assert.rejects(service.userCherryPick(again), { name: 'CreateTreeError', errorCode: 'EMPTY' });
  const other = { branchName: Buffer.from('other'), startBranchName: Buffer.from('main~') };
  await assert.rejects(service.userCherryPick({ ...pick, ...other, expectedOldOid: 'none' }), {
    name: 'CommandError',
  });

  const squash = { user: USER, author: USER, commitMessage: MESSAGE };
  await assert.rejects(service.userSquash({ ...squash, startSha: 'none', endSha: commit.id }), {
    name: 'GitError',
  });
  const rebase = {
    user: USER,
    branch: Buffer.from('topic'),
    branchSha: commit.id,
    remoteRepository: name,
    remoteBranch: MAIN,
  };
  await assert.rejects(service.rebase(rebase), { name: 'GitError' });
  await assert.rejects(service.userFfBranch(USER, { commitId: commit.id, branch: 'main' }), {
    name: 'CommitError',
  });

  await assert.rejects(service.userCreateBranch('x', USER, 'none'), { name: 'InvalidRef' });
  await assert.rejects(service.userDeleteBranch('new', USER, 'none'), { name: 'CommandError' });
  await service.addTag('v1', USER, { target: 'main' });
  await assert.rejects(service.addTag('v1', USER, { target: 'main' }), { name: 'TagExistsError' });
  await assert.rejects(service.addTag('v2', USER, { target: 'none' }), { name: 'InvalidRef' });
  const submodule = { user: USER, branch: MAIN, commitMessage: MESSAGE, commitSha: commit.id };
  await assert.rejects(service.userUpdateSubmodule({ ...submodule, submodule: Buffer.from('none') }), {
    name: 'CommitError',
    message: 'Invalid submodule path',
  });

  const actions = [
    ['create', 'README.md', 'A file with this name already exists'],
    ['create', '../x', 'Path cannot include directory traversal'],
    ['create', '', 'You must provide a file path'],
    ['update', 'none', "A file with this name doesn't exist"],
  ] as const;
  for (const [type, path, message] of actions)
    await assert.rejects(service.userCommitFiles(header, [{ type, path, content: '' }]), {
      name: 'IndexError',
      message,
    });
  await assert.rejects(service.userCommitFiles({ ...header, expectedOldOid: 'none' }, []), {
    name: 'CommandError',
  });
  assert.equal(await git('rev-list', '--count', 'main'), '2');
});

test('a hook without words for users has a text of its own, and an access check its reason', async () => {
  await using arranged = await arrangeServices();
  const { client, name, server } = arranged;
  const hooks = join(server.storagePath(), name.relativePath, 'custom_hooks');
  mkdirSync(hooks);
  writeFileSync(join(hooks, 'update'), '#!/bin/sh\necho /srv/secret >&2\nexit 1\n');
  chmodSync(join(hooks, 'update'), 0o755);

  await assert.rejects(new OperationService(client, name).userDeleteBranch('topic', USER), (error) => {
    assert.ok(error instanceof PreReceiveError);
    assert.equal(error.message, 'Prevented by server hooks');
    assert.match(error.rawMessage, /\/srv\/secret/);
    return true;
  });
});

test('new commits have the time of the client, so that all nodes make the same', async () => {
  await using arranged = await arrangeServices();
  const { client, firstRequests, git, name } = arranged;
  const service = new OperationService(client, name);
  const header = { user: USER, branchName: MAIN, commitMessage: MESSAGE };
  const startSeconds = Math.floor(Date.now() / 1000);

  await service.userCommitFiles(header, [{ type: 'create', path: 'c', content: 'c' }]);
  const timestamp = { seconds: 1_600_000_000n };
  await service.userCommitFiles({ ...header, timestamp }, [{ type: 'create', path: 'd', content: 'd' }]);

  const [given, own] = (await git('log', '-2', '--format=%at', 'main')).split('\n').map(Number);
  assert.equal(given, 1_600_000_000);
  assert.ok(own !== undefined && own >= startSeconds && own <= Date.now() / 1000);
  const dates = firstRequests.map((request) => {
    const { value } = Object(request).userCommitFilesRequestPayload;
    return [value.timestamp.seconds, value.sign];
  });
  assert.deepEqual(dates, [
    [BigInt(own), true],
    [1_600_000_000n, true],
  ]);
});

test('GitLab is asked to look for secrets, or to skip pipelines', async () => {
  await using arranged = await arrangeServices();
  const { client, git, header, name } = arranged;
  const service = new OperationService(client, name);
  const context = () => header('gitaly-client-context-bin');
  const secrets = '{"enable_secrets_check":true}';
  const fields = { user: USER, branchName: MAIN, commitMessage: MESSAGE };

  await service.userCommitFiles(fields, [{ type: 'create', path: 'c', content: 'c\n' }]);
  assert.equal(context(), secrets);
  const patch = await git('format-patch', '--stdout', '-1', 'main');
  await service.userCommitPatches(USER, 'patched', `${patch}\n`).catch(() => {}); // only its header counts
  assert.equal(context(), secrets);
  await service.userCreateBranch('quiet', USER, 'main', { skipCi: true });
  assert.equal(context(), '{"skip-ci":true}');
  await service.userCreateBranch('loud', USER, 'main');
  assert.equal(context(), undefined);
});

test('a merge and a rebase tell their commit before the branch moves', async () => {
  await using arranged = await arrangeServices();
  const { client, git, name, repository } = arranged;
  const service = new OperationService(client, name);
  const own = await repository.commit({ files: { own: '1\n' }, branch: 'own', parents: ['main~'] });
  const old = await git('rev-parse', 'main');
  const seen: string[] = [];
  const beforeApply = async (id: string) => {
    seen.push(id);
    assert.equal(await git('rev-parse', 'main'), old);
  };
  const merge = { user: USER, commitId: own, branch: MAIN, message: MESSAGE };

  await assert.rejects(
    service.userMergeBranch(merge, { beforeApply: () => Promise.reject(new Error('not now')) }),
    { message: 'not now' },
  );
  assert.equal(await git('rev-parse', 'main'), old, 'nothing is merged');
  const merged = await service.userMergeBranch(merge, { beforeApply });
  assert.deepEqual(seen, [merged]);
  assert.equal(await git('rev-parse', 'main'), merged);
});

test('a resolution that does not fit is a ResolutionError', async () => {
  await using arranged = await arrangeServices();
  const { client, git, name } = arranged;
  const [ourCommitOid, theirCommitOid] = [await git('rev-parse', 'main'), await git('rev-parse', 'topic')];

  const resolved = new ConflictsService(client, name).resolveConflicts(
    {
      user: USER,
      targetRepository: name,
      ourCommitOid,
      theirCommitOid,
      sourceBranch: MAIN,
      targetBranch: Buffer.from('topic'),
      commitMessage: MESSAGE,
    },
    [{ old_path: 'README.md', new_path: 'README.md', sections: { [ZEROS]: 'head' } }],
  );

  await assert.rejects(resolved, { name: 'ResolutionError', message: /^Missing resolution for section ID/ });
  const gone = { storageName: name.storageName, relativePath: 'gone.git' };
  const elsewhere = new ConflictsService(client, gone).resolveConflicts(
    {
      user: USER,
      targetRepository: gone,
      ourCommitOid,
      theirCommitOid,
      sourceBranch: MAIN,
      targetBranch: Buffer.from('topic'),
      commitMessage: MESSAGE,
    },
    [],
  );
  await assert.rejects(elsewhere, (error) => {
    return error instanceof CallError && error.code === 'NOT_FOUND' && error.name !== 'ResolutionError';
  });
});
