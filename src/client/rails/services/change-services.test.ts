import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { MergeConflictError } from '#client/repository/errors';
import { arrangeServices, toTexts } from '#testkit/clients/rails-fixture';
import { USER } from '#testkit/user';
import { CommitService, ConflictsService, OperationService, PreReceiveError, RefService } from '../index.ts';

/** The file on the branches: `topic` has changed it. */
const README = { main: 'hello\n', topic: 'hello again\n' };
const ZEROS = '0'.repeat(40);
const all = Array.fromAsync;

test('RefService reads and changes references', async () => {
  await using arranged = await arrangeServices(README);
  const { client, git, name } = arranged;
  const service = new RefService(client, name);
  const main = await git('rev-parse', 'main');
  await git('tag', '-a', '-m', 'the first', 'v1', 'main');
  const tagId = await git('rev-parse', 'v1');

  assert.equal(await service.defaultBranchName(), 'refs/heads/main');
  assert.deepEqual(
    (await all(service.localBranches())).map(({ name }) => Buffer.from(name).toString()),
    ['refs/heads/main', 'refs/heads/topic'],
  );
  assert.equal((await service.findBranch('main'))?.targetCommit?.id, main);
  assert.equal(await service.findBranch('none'), undefined);
  assert.equal((await all(service.tags()))[0]?.id, tagId);
  assert.equal((await service.findTag('v1'))?.id, tagId);
  assert.equal(await service.findTag('none'), undefined);
  assert.equal(await service.refExists('refs/tags/v1'), true);
  assert.equal((await all(service.listRefs())).length, 2, 'branches only');
  assert.deepEqual(await toTexts(service.branchNamesContainingSha(main)), ['main']);
  assert.deepEqual(await toTexts(service.tagNamesContainingSha(main)), ['v1']);
  assert.deepEqual(await service.findRefsByOid(main), ['refs/heads/main', 'refs/tags/v1']);
  const [message] = await all(service.getTagMessages([tagId]));
  assert.equal(message?.message.toString(), 'the first\n');
  const [unsigned] = await all(service.getTagSignatures([tagId]));
  assert.equal(unsigned?.signature.length, 0);

  await service.updateRefs([
    { reference: 'refs/keep/1', oldOid: ZEROS, newOid: main },
    { reference: 'refs/heads/topic', oldOid: await git('rev-parse', 'topic'), newOid: main },
  ]);
  await service.deleteRefs({ refs: ['refs/tags/v1'] });

  assert.equal(
    await git('for-each-ref', '--format=%(objectname) %(refname)'),
    [`${main} refs/heads/main`, `${main} refs/heads/topic`, `${main} refs/keep/1`].join('\n'),
  );
});

test('OperationService makes the changes of a user', async () => {
  await using arranged = await arrangeServices(README);
  const { client, git, name } = arranged;
  const service = new OperationService(client, name);
  const rev = (revision: string) => git('rev-parse', revision);
  const branch = Buffer.from('main');

  const created = await service.userCreateBranch('feature', USER, 'topic');
  assert.equal(created?.targetCommit?.id, await rev('topic'));
  await service.userUpdateBranch('feature', USER, { oldrev: await rev('topic'), newrev: await rev('main') });
  assert.equal(await rev('feature'), await rev('main'));
  await service.userDeleteBranch('feature', USER);
  const tag = await service.addTag('v1', USER, { target: 'main', message: 'first' });
  assert.equal(tag?.id, await rev('v1'));
  await service.rmTag('v1', USER);
  assert.equal(await git('for-each-ref', '--format=%(refname:short)'), 'main\ntopic');

  const toRef = await service.userMergeToRef({
    user: USER,
    sourceSha: await rev('topic'),
    targetRef: Buffer.from('refs/merge-requests/1/merge'),
    firstParentRef: Buffer.from('refs/heads/main'),
    message: Buffer.from('trial'),
  });
  assert.equal(await rev('refs/merge-requests/1/merge'), toRef);
  const squashed = await service.userSquash({
    user: USER,
    author: USER,
    startSha: await rev('main'),
    endSha: await rev('topic'),
    commitMessage: Buffer.from('squashed'),
  });
  assert.equal(await rev(`${squashed}~`), await rev('main'));
  const commitId = await rev('topic');
  const merged = await service.userMergeBranch({
    user: USER,
    commitId,
    branch,
    message: Buffer.from('merge'),
  });
  assert.deepEqual([await rev('main'), await rev('main^2')], [merged, commitId]);
  const forward = await service.userFfBranch(USER, { commitId: merged, branch: 'topic' });
  assert.equal(forward?.commitId, merged);

  const update = await service.userCommitFiles(
    { user: USER, branchName: branch, commitMessage: Buffer.from('add') },
    [{ type: 'create', path: 'c', content: 'c\n' }],
  );
  assert.equal(await git('show', 'main:c'), 'c');
  const commit = await new CommitService(client, name).findCommit('main');
  const pick = { user: USER, branchName: Buffer.from('topic'), message: Buffer.from('pick') };
  await service.userCherryPick({ ...pick, ...(commit && { commit }) });
  assert.equal(await git('show', 'topic:c'), 'c');
  await service.userRevert({ ...pick, branchName: branch, ...(commit && { commit }) });
  assert.equal(await git('ls-tree', '--name-only', 'main', 'c'), '');
  assert.equal(await rev('main~'), update?.commitId);

  const own = { user: USER, branchName: Buffer.from('topic'), commitMessage: Buffer.from('own') };
  await service.userCommitFiles(own, [{ type: 'create', path: 'd', content: 'd\n' }]);
  const tip = await service.rebase({
    user: USER,
    branch: Buffer.from('topic'),
    branchSha: await rev('topic'),
    remoteRepository: name,
    remoteBranch: branch,
  });
  assert.deepEqual([await rev('topic'), await rev('topic~')], [tip, await rev('main')]);
  const patch = await git('format-patch', '--stdout', '-1', 'topic');
  const applied = await service.userCommitPatches(USER, 'main', `${patch}\n`);
  assert.equal(applied?.commitId, await rev('main'));
  const rebased = await service.userRebaseToRef({
    user: USER,
    sourceSha: await rev('topic'),
    targetRef: Buffer.from('refs/merge-requests/1/rebase'),
    firstParentRef: Buffer.from('refs/heads/main'),
  });
  assert.equal(await rev('refs/merge-requests/1/rebase'), rebased);
});

test('refused changes have typed errors, and of a hook only what is meant for users', async () => {
  await using arranged = await arrangeServices(README);
  const { client, git, name, server } = arranged;
  const service = new OperationService(client, name);
  const hooks = join(server.storagePath(), name.relativePath, 'custom_hooks');
  const [branchName, commitMessage] = [Buffer.from('main'), Buffer.from('m')];
  const header = { user: USER, branchName, commitMessage };

  await assert.rejects(service.userCommitFiles(header, [{ type: 'delete', path: 'none' }]), {
    name: 'IndexError',
    message: "A file with this name doesn't exist",
  });
  await service.userCommitFiles(header, [{ type: 'update', path: 'README.md', content: 'mine\n' }]);
  const conflict = service.userMergeBranch({
    user: USER,
    commitId: await git('rev-parse', 'topic'),
    branch: branchName,
    message: commitMessage,
  });
  await assert.rejects(
    conflict,
    (error) => error instanceof MergeConflictError && error.files.join() === 'README.md',
  );
  mkdirSync(hooks);
  const script =
    '#!/bin/sh\necho "/srv/secret/path: refused" >&2\necho "GL-HOOK-ERR: not today" >&2\nexit 1\n';
  writeFileSync(join(hooks, 'pre-receive'), script);
  chmodSync(join(hooks, 'pre-receive'), 0o755);
  await assert.rejects(service.userDeleteBranch('topic', USER), (error) => {
    assert.ok(error instanceof PreReceiveError);
    assert.equal(error.message, 'not today');
    assert.match(error.rawMessage, /\/srv\/secret\/path: refused/);
    return true;
  });
});

test('ConflictsService lists and resolves conflicts', async () => {
  await using arranged = await arrangeServices(README);
  const { client, git, name, server } = arranged;
  const service = new ConflictsService(client, name);
  await server.openRepository(name).commit({ files: { 'README.md': 'mine\n' } });
  const [ours, theirs] = [await git('rev-parse', 'main'), await git('rev-parse', 'topic')];

  assert.equal(await service.hasConflicts(ours, theirs), true);
  assert.equal(await service.hasConflicts(await git('rev-parse', 'main~'), theirs), false);
  const [file] = await all(service.listConflictFiles(ours, theirs));
  assert.match(file?.content.toString() ?? '', /^<<<<<<< README\.md\nmine\n=======\nhello again\n>>>>>>>/);
  await service.resolveConflicts(
    {
      user: USER,
      targetRepository: name,
      ourCommitOid: ours,
      theirCommitOid: theirs,
      sourceBranch: Buffer.from('main'),
      targetBranch: Buffer.from('topic'),
      commitMessage: Buffer.from('resolved'),
    },
    [{ old_path: 'README.md', new_path: 'README.md', content: 'both\n' }],
  );
  assert.equal(await git('show', 'main:README.md'), 'both');
});
