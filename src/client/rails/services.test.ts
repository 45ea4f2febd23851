import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Metadata } from '#rpc/common/metadata';
import { startGitaly } from '#testkit/start-gitaly';
import { ChangedPaths_Status } from '#wire/gen/diff_pb';
import type { Interceptor, Invocation } from '../call/call-types.ts';
import { MergeConflictError } from '../repository/errors.ts';
import {
  AnalysisService,
  BlobService,
  CleanupService,
  CommitService,
  ConflictsService,
  DiffService,
  GitalyClient,
  HealthCheckService,
  ObjectPoolService,
  OperationService,
  PraefectInfoService,
  PreReceiveError,
  RefService,
  RemoteService,
  RepositoryService,
  ServerService,
} from './index.ts';

const ZEROS = '0'.repeat(40);
const USER = {
  glId: 'user-1',
  glUsername: 'jane',
  name: Buffer.from('Jane Doe'),
  email: Buffer.from('jane@example.com'),
};

/** Starts a server with a repository of three commits, and a client that records what it sends. */
async function arrange() {
  const server = await startGitaly({ storages: ['default', 'other'] });
  const sent: Invocation[] = [];
  const sentMs: number[] = [];
  const watching: Interceptor = (invocation, next) => {
    sent.push(invocation);
    sentMs.push(Date.now());
    return next(invocation);
  };
  const client = new GitalyClient({
    storages: { default: { gitaly_address: server.address }, other: { gitaly_address: server.address } },
    dialOptions: { interceptors: [watching] },
  });
  const repository = await server.createRepository();
  await repository.commit({ files: { 'README.md': 'hello\n', 'src/a.ts': 'a\n' } });
  await repository.commit({ files: { 'README.md': 'hello again\n' }, branch: 'topic', parents: ['main'] });
  await repository.commit({ files: { 'src/b.ts': 'b\n' } });
  const { storageName, relativePath, glRepository } = repository;
  return {
    client,
    git: (...args: string[]) => repository.git(args),
    server,
    name: { storageName, relativePath, glRepository: glRepository ?? '' },
    /** Seconds that each call had, rounded. */
    seconds: () =>
      sent.map(({ method, options }, index) => [
        method.name,
        Math.round(((options.deadline?.getTime() ?? Number.NaN) - (sentMs[index] ?? 0)) / 1000),
      ]),
    sent,
    async [Symbol.asyncDispose]() {
      await client[Symbol.asyncDispose]();
      await server.close();
    },
  };
}

const all = Array.fromAsync;
const texts = async (items: AsyncIterable<Uint8Array>) =>
  (await all(items)).map((item) => Buffer.from(item).toString());

test('CommitService reads commits, trees and files', async () => {
  await using arranged = await arrange();
  const { client, git, name } = arranged;
  const service = new CommitService(client, name);
  const [main, topic] = [await git('rev-parse', 'main'), await git('rev-parse', 'topic')];

  assert.equal((await service.findCommit('main'))?.id, main);
  assert.equal(await service.findCommit('nowhere'), undefined);
  assert.deepEqual(
    (await all(service.listCommits(['main', 'topic']))).map(({ id }) => id).toSorted(),
    (await git('rev-list', 'main', 'topic')).split('\n').toSorted(),
  );
  assert.equal((await all(service.listCommits('main', { limit: 1 }))).length, 1);
  assert.deepEqual(
    (await service.listCommitsByOid([main, ZEROS])).map(({ id }) => id),
    [main],
  );
  const missing = new CommitService(client, { ...name, relativePath: 'none.git' });
  assert.deepEqual(await missing.listCommitsByOid([main]), []);
  const [byRef] = await service.listCommitsByRefName(['refs/heads/topic']);
  assert.equal(byRef?.commit?.id, topic);
  assert.equal((await all(service.commitsByMessage('commit 2', { revision: 'topic' }))).length, 1);
  assert.equal(await service.isAncestor('main~', 'topic'), true);
  assert.equal(await service.isAncestor('topic', 'main'), false);

  const file = await service.treeEntry('topic', 'README.md');
  assert.deepEqual([file?.data.toString(), file?.size, file?.mode], ['hello again\n', 12n, 0o100644]);
  assert.equal((await service.treeEntry('topic', 'README.md', 5n))?.data.toString(), 'hello');
  assert.equal(await service.treeEntry('topic', 'none'), undefined);
  assert.equal((await service.treeEntry('topic', 'src'))?.data.length, 0);
  const tops = await texts(entryPaths(service.treeEntries('main', '')));
  assert.deepEqual(tops, ['src', 'README.md'], 'directories first');
  assert.deepEqual(await texts(service.lsFiles('main')), ['README.md', 'src/a.ts', 'src/b.ts']);

  assert.equal(await service.commitCount('main', { path: 'src' }), 2);
  const { leftCount, rightCount } = await service.divergingCommitCount('main', 'topic');
  assert.deepEqual([leftCount, rightCount], [1, 1]);
  assert.equal((await service.lastCommitForPath('main', 'src/b.ts'))?.id, main);
  const entries = await service.listLastCommitsForTree('main', '');
  assert.deepEqual(
    entries.map(({ pathBytes }) => Buffer.from(pathBytes).toString()),
    ['src', 'README.md'],
  );
  assert.deepEqual(
    (await service.languages()).map(({ name }) => name),
    ['TypeScript'],
  );
  assert.equal(
    `${await service.rawBlame('main', 'src/b.ts')}`,
    `${await git('blame', '-p', 'main', '--', 'src/b.ts')}\n`,
  );
  assert.equal((await service.commitStats('main')).additions, 1);
  const existence = await all(service.objectExistence(['main', 'nowhere']));
  assert.deepEqual(
    existence.map(({ name, exists }) => [Buffer.from(name).toString(), exists]),
    [
      ['main', true],
      ['nowhere', false],
    ],
  );
  assert.deepEqual(await all(service.filterShasWithSignatures([main])), []);
  assert.deepEqual(await all(service.getCommitSignatures([main])), []);
  const [message] = await all(service.getCommitMessages([main]));
  assert.deepEqual([message?.commitId, message?.message.toString()], [main, 'commit 3']);
});

async function* entryPaths(entries: AsyncIterable<{ path: Uint8Array }>) {
  for await (const { path } of entries) yield path;
}

test('DiffService and BlobService read differences and blobs', async () => {
  await using arranged = await arrange();
  const { client, git, name } = arranged;
  const diffs = new DiffService(client, name);
  const blobs = new BlobService(client, name);
  const [from, to] = [await git('rev-parse', 'main'), await git('rev-parse', 'topic')];

  const files = await all(diffs.diff(from, to));
  assert.deepEqual(
    files.map(({ toPath }) => Buffer.from(toPath).toString()),
    ['README.md', 'src/b.ts'],
  );
  assert.match(files[0]?.patch.toString() ?? '', /^\+hello again$/m);
  assert.equal((await all(diffs.commitDeltas(from, to))).length, 2);
  assert.deepEqual(
    (await all(diffs.diffStats(from, to))).map(({ additions, deletions }) => [additions, deletions]),
    [
      [1, 1],
      [0, 1],
    ],
  );
  assert.deepEqual(await texts(entryPaths(diffs.findChangedPaths([to]))), ['README.md']);
  const patch = await git('diff', '--full-index', `${from}..${to}`);
  assert.equal(
    await diffs.getPatchId(from, to),
    (await arranged.server.askGit(name, ['patch-id', '--verbatim'], `${patch}\n`)).split(' ')[0],
  );

  const oid = await git('rev-parse', 'topic:README.md');
  assert.equal((await blobs.getBlob(oid))?.data.toString(), 'hello again\n');
  assert.equal((await blobs.getBlob(oid, 5n))?.data.toString(), 'hello');
  assert.equal(await blobs.getBlob(ZEROS), undefined);
  const found = await all(
    blobs.getBlobs([
      ['main', 'src/a.ts'],
      ['main', 'none'],
    ]),
  );
  assert.deepEqual(
    found.map(({ data }) => data.toString()),
    ['a\n'],
  );
  const listed = await all(blobs.listBlobs(['topic', '^main'], { bytesLimit: -1n }));
  assert.deepEqual(
    listed.map(({ oid: id, data }) => [id, data.toString()]),
    [[oid, 'hello again\n']],
  );
  assert.deepEqual(await all(blobs.batchLfsPointers([oid])), []);
  assert.deepEqual(await all(blobs.listLfsPointers(['main'])), []);
});

test('RefService reads and changes references', async () => {
  await using arranged = await arrange();
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
  assert.deepEqual(await texts(service.branchNamesContainingSha(main)), ['main']);
  assert.deepEqual(await texts(service.tagNamesContainingSha(main)), ['v1']);
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
  await using arranged = await arrange();
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
  await using arranged = await arrange();
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
  await using arranged = await arrange();
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

test('RepositoryService, pools and remotes manage whole repositories', async () => {
  await using arranged = await arrange();
  const { client, git, name, server } = arranged;
  const service = new RepositoryService(client, name);
  const of = (relativePath: string, storageName = 'default') =>
    new RepositoryService(client, { ...name, storageName, relativePath });
  const main = await git('rev-parse', 'main');

  assert.equal(await service.exists(), true);
  assert.equal(await of('none.git').exists(), false);
  await of('new.git').createRepository('trunk');
  assert.equal(await of('new.git').hasLocalBranches(), false);
  assert.equal(await of('new.git').calculateChecksum(), ZEROS);
  await of('new.git').remove();
  await of('new.git').remove(); // not there: no error
  assert.equal(await service.findMergeBase('main', 'topic'), await git('merge-base', 'main', 'topic'));
  assert.ok((await service.repositorySize()) > 0n);
  const pushed = new RepositoryService(client, { ...name, gitObjectDirectory: 'objects' });
  await server.openRepository(name).commit({ branch: 'big', files: { big: randomBytes(100_000) } });
  assert.ok((await pushed.getObjectDirectorySize()) > 90n);
  assert.ok((await service.repositoryInfo()).size > 0n);
  assert.equal(await service.fsck(), '');
  assert.equal(await service.findLicense(), undefined);
  assert.equal(await service.objectFormat(), 1);
  assert.deepEqual(await texts(service.searchFilesByName('main', 'src')), ['src/a.ts', 'src/b.ts']);
  const [match] = await all(service.searchFilesByContent('main', 'hello'));
  assert.match(match?.toString() ?? '', /README\.md.1.hello/s);
  const changes = await all(service.rawChangesBetween('main~', 'main'));
  assert.equal(Buffer.from(changes[0]?.newPathBytes ?? []).toString(), 'src/b.ts');
  assert.deepEqual(await service.getFileAttributes('main', ['README.md'], ['text']), []);
  await service.writeRef('refs/keep/1', main);
  assert.equal(await git('rev-parse', 'refs/keep/1'), main);
  await service.optimizeRepository();
  await service.pruneUnreachableObjects();

  await of('fork.git', 'other').forkRepository(name);
  await of('copy.git', 'other').replicate(name);
  for (const path of ['fork.git', 'copy.git']) {
    const copy = { storageName: 'other', relativePath: path };
    assert.equal(await server.askGit(copy, ['rev-parse', 'main']), main);
  }
  const branches = { sourceBranch: 'main', targetRef: 'refs/heads/fetched' };
  assert.equal(
    await service.fetchSourceBranch({ ...name, storageName: 'other', relativePath: 'fork.git' }, branches),
    true,
  );
  assert.equal(await git('rev-parse', 'fetched'), main);

  const pool = { storageName: 'default', relativePath: `@pools/ab/ab/${'ab'.repeat(32)}.git` };
  const pools = new ObjectPoolService(client, pool);
  await pools.create(name);
  await pools.linkRepository(name);
  await pools.fetch(name);
  assert.equal(await server.askGit(pool, ['rev-parse', 'refs/remotes/origin/heads/main']), main);
  await pools.disconnect(name);
  await pools.delete();
  assert.equal(await git('rev-parse', 'main'), main);
  assert.equal(await new RemoteService(client, name).isRemoteRepository('http://127.0.0.1:1/a.git'), false);
});

test('AnalysisService finds generated files, CleanupService removes data from the history', async () => {
  await using arranged = await arrange();
  const { client, git, name, sent } = arranged;
  const analysis = new AnalysisService(client, name);
  const file = (path: string, status = ChangedPaths_Status.MODIFIED, newMode = 0o100644) => ({
    path: Buffer.from(path),
    status,
    newMode,
    oldMode: newMode,
  });

  const checked = await all(
    analysis.checkBlobsGenerated('main', 'topic', [
      file('a/sub', ChangedPaths_Status.ADDED, 0o160000),
      file('src/a.ts'),
      file('README.md', ChangedPaths_Status.ADDED),
    ]),
  );
  assert.deepEqual(
    checked.map(({ path, generated }) => [Buffer.from(path).toString(), generated]),
    [
      ['src/a.ts', false],
      ['README.md', false],
    ],
  );
  const [call] = sent;
  assert.equal(call?.method.name, 'CheckBlobsGenerated');
  assert.deepEqual(await all(analysis.checkBlobsGenerated('main', 'topic', [])), []);
  assert.equal(sent.length, 1, 'nothing to check is no call');

  const cleanup = new CleanupService(client, name);
  const main = await git('rev-parse', 'main');
  await git('update-ref', 'refs/keep-around/gone', main);
  const entries = await all(cleanup.applyBfgObjectMapStream(`${main} ${ZEROS}\n`));
  assert.deepEqual(
    entries.map(({ oldOid, newOid }) => [oldOid, newOid]),
    [[main, ZEROS]],
  );
  assert.equal(await git('for-each-ref', 'refs/keep-around'), '');
  await assert.rejects(cleanup.rewriteHistory({}), { code: 'INVALID_ARGUMENT' });
});

test('PraefectInfoService asks for replicas, which a Gitaly refuses', async () => {
  await using arranged = await arrange();
  const { client, name, seconds, sent } = arranged;

  await assert.rejects(new PraefectInfoService(client, name).replicas(), {
    code: 'UNIMPLEMENTED',
    rpc: '/gitaly.PraefectInfoService/RepositoryReplicas',
  });

  assert.deepEqual(seconds(), [['RepositoryReplicas', 10]]);
  assert.deepEqual(sent[0]?.requests, [{ repository: name }]);
});

test('ServerService and HealthCheckService describe the server of a storage', async () => {
  await using arranged = await arrange();
  const { client } = arranged;
  const service = new ServerService(client, 'other');

  assert.notEqual((await service.info()).gitVersion, '');
  assert.equal((await service.storageInfo())?.storageName, 'other');
  assert.ok(((await service.diskStatistics())?.available ?? 0n) > 0n);
  assert.equal((await service.readinessCheck()).Result.case, 'okResponse');
  assert.deepEqual(await service.serverSignature(), new Uint8Array());
  const health = new HealthCheckService(client);
  assert.deepEqual(await health.check('default'), { success: true });
  assert.deepEqual(await health.check('none'), { success: false, message: 'storage not found: "none"' });
});

test("the services have Rails' timeouts, and name a second storage", async () => {
  await using arranged = await arrange();
  const { client, name, sent, seconds } = arranged;

  await new CommitService(client, name).isAncestor('main', 'main');
  await new CommitService(client, name).findCommit('main');
  await all(new CommitService(client, name).objectExistence(['main']));
  await client.run(() =>
    new RepositoryService(client, { ...name, storageName: 'other' }).forkRepository(name),
  );

  assert.deepEqual(seconds(), [
    ['CommitIsAncestor', 10],
    ['FindCommit', 30],
    ['CheckObjectsExist', 30],
    ['CreateFork', 55],
  ]);
  const servers = Metadata.from(sent[3]?.options.metadata).get('gitaly-servers');
  assert.deepEqual(Object.keys(JSON.parse(Buffer.from(String(servers), 'base64').toString())), ['default']);
});
