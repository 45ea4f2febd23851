import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { arrangeServices } from '#testkit/clients/rails-fixture';
import { ListCommitsRequest_Order } from '#wire/gen/commit_pb';
import { ObjectType } from '#wire/gen/shared_pb';
import { BlobService, CommitService, DiffService, RefService, RepositoryService } from '../index.ts';

const ZEROS = '0'.repeat(40);
const all = Array.fromAsync;
const ids = async (commits: AsyncIterable<{ id: string }>) => (await all(commits)).map(({ id }) => id);
const names = async (items: AsyncIterable<{ name: Uint8Array }>) =>
  (await all(items)).map(({ name }) => Buffer.from(name).toString());
const paths = async (entries: AsyncIterable<{ path: Uint8Array }>) =>
  (await all(entries)).map(({ path }) => Buffer.from(path).toString());

test('CommitService lists commits by all that Rails filters by', async () => {
  await using arranged = await arrangeServices();
  const { client, firstRequests, git, name, repository } = arranged;
  const service = new CommitService(client, name);
  await repository.commit({ files: { 'star*': '1\n' }, message: 'Star\n\nReviewed-by: Jo <jo@x>' });
  await repository.commit({ files: { starred: '1\n' }, message: 'plain' });
  const log = async (...args: string[]) => (await git('log', '--format=%H', ...args)).split('\n');

  assert.deepEqual(
    await ids(service.findCommits({ limit: 2, offset: 1, revision: 'main' })),
    await log('-2', '--skip=1', 'main'),
  );
  assert.deepEqual(
    await ids(service.findCommits({ limit: -1, paths: ['README.md'], skipMerges: true })),
    await log('main', '--', 'README.md'),
  );
  const literal = { limit: 9, paths: ['star*'], literalPathspec: true, trailers: true };
  const [starred, ...none] = await all(service.findCommits(literal));
  assert.deepEqual([starred?.id, none], [await git('rev-parse', 'main~'), []]);
  assert.deepEqual(
    starred?.trailers.map(({ key }) => Buffer.from(key).toString()),
    ['Reviewed-by'],
  );
  const [tip] = await all(service.findCommits({ limit: 1, includeReferencedBy: ['refs/heads/'] }));
  assert.deepEqual(
    tip?.referencedBy.map((ref) => Buffer.from(ref).toString()),
    ['refs/heads/main'],
  );
  assert.deepEqual(await ids(service.findAllCommits({ maxCount: 1, revision: 'topic' })), [
    await git('rev-parse', 'topic'),
  ]);
  assert.deepEqual(
    await ids(service.listCommits('main', { commitMessagePatterns: ['^STAR'], ignoreCase: true })),
    [await git('rev-parse', 'main~')],
  );
  const [first, second] = await log('main');
  assert.ok(first !== undefined);
  const page = { limit: 1, pageToken: first, order: ListCommitsRequest_Order.TOPO };
  assert.deepEqual(await ids(service.listCommits('main', page)), [second]);
  const future = new Date(Date.now() + 86_400_000);
  assert.deepEqual(await ids(service.listCommits('main', { after: future })), []);
  assert.equal(await service.commitCount('main', { before: future, firstParent: true }), 4);
  assert.equal(await service.commitCount('main', { after: future }), 0);
  assert.deepEqual(await ids(service.commitsByMessage('star', { path: 'star*' })), [
    await git('rev-parse', 'main~'),
  ]);
  assert.deepEqual(await ids(service.commitsByMessage('plain', { path: 'star*' })), []);
  assert.deepEqual(await ids(service.commitsByMessage('plain', { path: 'star*', literalPathspec: false })), [
    await git('rev-parse', 'main'),
  ]);
  const literally = { literalPathspec: true };
  assert.equal((await service.lastCommitForPath('main', 'star*', literally))?.id, starred?.id);
  assert.equal((await service.lastCommitForPath('main', 'star*'))?.id, await git('rev-parse', 'main'));
  assert.equal(Object(firstRequests[0]).disableWalk, true);
});

test('a blame looks through the commits of a list', async () => {
  await using arranged = await arrangeServices();
  const { client, git, name, repository } = arranged;
  const ignored = await repository.commit({ files: { 'README.md': 'ours  \n' } });
  await repository.commit({ files: { ignored: `${ignored}\n` } });

  const blame = await new CommitService(client, name).rawBlame('main', 'README.md', '1,1', {
    ignoreRevisionsBlob: 'main:ignored',
  });

  const expected = await git('blame', '-p', '-L1,1', '--ignore-rev', ignored, 'main', '--', 'README.md');
  assert.equal(blame.toString().trimEnd(), expected.trimEnd());
  assert.notEqual(blame.toString().slice(0, 40), ignored);
});

test('the commits of a push are those that the repository has not', async () => {
  await using arranged = await arrangeServices();
  const { client, git, name, methods } = arranged;
  const service = new CommitService(client, name);
  const tree = await git('rev-parse', 'main^{tree}');
  const loose = await git('commit-tree', '-m', 'new', '-p', 'main', tree);

  assert.deepEqual(await ids(service.listNewCommits([loose])), [loose]);
  assert.deepEqual(methods(), ['ListCommits']);
  // In a hook callback the objects are in a separate directory; here it is the repository's.
  const quarantined = new CommitService(client, { ...name, gitObjectDirectory: 'objects' });
  assert.deepEqual(await ids(quarantined.listNewCommits([loose])), []);
  assert.deepEqual(methods(), ['ListAllCommits', 'CheckObjectsExist']);
});

test('directories are listed by page, and wholly only at once', async () => {
  await using arranged = await arrangeServices();
  const { client, firstRequests, name } = arranged;
  const service = new CommitService(client, name);

  assert.deepEqual(await paths(service.treeEntries('main', '', { recursive: true })), [
    'README.md',
    'src',
    'src/a.ts',
    'src/b.ts',
  ]);
  assert.equal(Object(firstRequests[0]).paginationParams, undefined, 'without a limit');
  const { entries, nextPageToken } = await service.treeEntriesPage('main', '', { limit: 1 });
  assert.equal(Buffer.from(entries[0]?.path ?? []).toString(), 'src');
  assert.ok(nextPageToken);
  const rest = await service.treeEntriesPage('main', '', { limit: 1, pageToken: nextPageToken });
  assert.equal(Buffer.from(rest.entries[0]?.path ?? []).toString(), 'README.md');
  assert.equal(rest.nextPageToken, undefined);
  await assert.rejects(all(service.treeEntries('none')), { name: 'IndexError' });
  await assert.rejects(service.treeEntriesPage('main', 'none', {}), { name: 'IndexError' });
});

test('what Rails calls a wrong argument is an ArgumentError', async () => {
  await using arranged = await arrangeServices();
  const { client, name } = arranged;
  const commits = new CommitService(client, name);
  const refs = new RefService(client, name);
  const wrong = { name: 'ArgumentError' };

  await assert.rejects(commits.rawBlame('main', 'none'), wrong);
  await assert.rejects(commits.rawBlame('main', 'README.md', '7,9'), wrong);
  await assert.rejects(all(commits.getCommitSignatures(['none'])), wrong);
  await assert.rejects(all(refs.getTagSignatures([])), wrong);
  await assert.rejects(refs.refExists('main'), wrong);
});

test('RefService lists branches, tags and references as Rails sorts them', async () => {
  await using arranged = await arrangeServices();
  const { client, git, name, methods, server } = arranged;
  const service = new RefService(client, name);
  const main = await git('rev-parse', 'main');
  await git('branch', 'done', 'main~');
  await git('update-ref', 'refs/remotes/up/x', 'topic');
  for (const tag of ['v1.10', 'v1.9']) await git('tag', tag, 'main');

  assert.deepEqual(await names(service.branches()), [
    'refs/heads/done',
    'refs/heads/main',
    'refs/heads/topic',
    'refs/remotes/up/x',
  ]);
  assert.deepEqual(await names(service.mergedBranches(['refs/heads/done', 'refs/heads/topic'])), [
    'refs/heads/done',
  ]);
  assert.deepEqual(await names(service.remoteBranches('up')), ['x']);
  const page = { limit: 1, pageToken: 'refs/heads/done' };
  assert.deepEqual(await names(service.localBranches(page)), ['refs/heads/main']);
  const newest = await git('for-each-ref', '--sort=-committerdate', '--format=%(refname)', 'refs/heads/');
  assert.deepEqual(await names(service.localBranches({ sortBy: 'updated_desc' })), newest.split('\n'));
  assert.deepEqual(await names(service.tags({ sortBy: 'version_desc' })), ['v1.10', 'v1.9']);
  assert.deepEqual(await names(service.tags({ sortBy: 'name_asc', limit: 1 })), ['v1.10']);
  assert.deepEqual(
    await names(service.listRefs(['refs/tags/'], { sortBy: 'name_desc', pointingAtOids: [main] })),
    ['refs/tags/v1.9', 'refs/tags/v1.10'],
  );
  methods();
  assert.equal(await service.findTag(''), undefined);
  assert.deepEqual(methods(), [], 'without a name there is no call');

  const change = { reference: 'refs/heads/done', oldOid: main, newOid: main };
  await assert.rejects(service.updateRefs([change]), { name: 'ReferenceStateMismatchError' });
  await assert.rejects(service.updateRefs([{ ...change, reference: 'refs/heads/a..b' }]), {
    name: 'InvalidRefFormatError',
    message: 'references have an invalid format: refs/heads/a..b',
  });
  await assert.rejects(service.deleteRefs({ refs: ['refs/heads/a b'] }), { name: 'InvalidRefFormatError' });
  writeFileSync(join(server.storagePath(), name.relativePath, 'refs/heads/done.lock'), '');
  await assert.rejects(service.deleteRefs({ refs: ['refs/heads/done'] }), { name: 'ReferencesLockedError' });
});

test('BlobService lists blobs, their types and LFS pointers', async () => {
  await using arranged = await arrangeServices();
  const { client, git, methods, name, repository } = arranged;
  const service = new BlobService(client, name);
  const pointer = `version https://git-lfs.github.com/spec/v1\noid sha256:${'ab'.repeat(32)}\nsize 5\n`;
  await repository.commit({ files: { 'big.bin': pointer }, branch: 'topic' });
  const oid = await git('rev-parse', 'topic:big.bin');
  const quarantine = new BlobService(client, { ...name, gitObjectDirectory: 'objects' });
  const oids = async (items: AsyncIterable<{ oid: string }>) => (await all(items)).map((item) => item.oid);

  assert.deepEqual(
    [
      ...(await service.getBlobTypes([
        ['topic', 'big.bin'],
        ['main', 'src'],
        ['main', 'none'],
      ])),
    ],
    [
      ['big.bin', ObjectType.BLOB],
      ['src', ObjectType.TREE],
      ['none', ObjectType.UNKNOWN],
    ],
  );
  const stored = (await git('cat-file', '--batch-check', '--batch-all-objects'))
    .split('\n')
    .flatMap((line) => (line.includes(' blob ') ? line.split(' ')[0] : []));
  assert.deepEqual((await oids(service.listAllBlobs())).toSorted(), stored.toSorted());
  assert.deepEqual(await oids(service.listOversizedBlobs({ fileSizeLimitMegabytes: 1e-4 })), [oid]);
  assert.deepEqual(await oids(service.listOversizedBlobs()), []);
  methods();
  assert.deepEqual(await oids(service.getNewLfsPointers('topic', { notIn: ['main'] })), [oid]);
  assert.deepEqual(await oids(service.getNewLfsPointers('topic')), []);
  assert.deepEqual(await oids(service.getAllLfsPointers()), [oid]);
  assert.deepEqual(await oids(quarantine.getNewLfsPointers('topic')), [oid]);
  assert.deepEqual(methods(), [...new Array(3).fill('ListLFSPointers'), 'ListAllLFSPointers']);
  assert.deepEqual(await all(service.getBlobs([])), []);
  assert.deepEqual(await all(service.batchLfsPointers([])), []);
  assert.equal((await service.getBlobTypes([])).size, 0);
  assert.deepEqual(methods(), [], 'nothing to read is no call');
});

test('DiffService compares within the limits of Rails', async () => {
  await using arranged = await arrangeServices();
  const { client, git, methods, name, repository } = arranged;
  const service = new DiffService(client, name);
  const files = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`f/${i}`, `${i}\n`]));
  const large = `${'x'.repeat(300_000)}\n`;
  const many = await repository.commit({ files: { ...files, 'README.md': large }, branch: 'many' });
  const [root] = (await git('rev-list', '--max-parents=0', 'main')).split('\n');

  const found = await all(service.diff('main', many));
  assert.equal(found.at(-1)?.overflowMarker, true);
  assert.deepEqual([found[0]?.tooLarge, found[0]?.patch.length], [true, 0]);
  const whole = await all(service.diff('main', many, { enforceLimits: false, maxPatchBytes: 1 << 20 }));
  assert.equal(
    whole.some(({ overflowMarker }) => overflowMarker),
    false,
  );
  assert.ok((whole[0]?.patch.length ?? 0) > 300_000);
  assert.ok(root !== undefined);
  const first = await all(service.diffFromParent({ id: root, parentIds: [] }));
  assert.deepEqual(
    first.map(({ toPath }) => Buffer.from(toPath).toString()),
    ['README.md', 'src/a.ts'],
  );
  const trees = { leftTree: 'main^{tree}', rightTree: 'topic^{tree}' };
  assert.deepEqual(await paths(service.findChangedPaths([trees, ZEROS, ''])), ['README.md', 'src/b.ts']);
  methods();
  assert.deepEqual(await paths(service.findChangedPaths([ZEROS])), []);
  assert.deepEqual(methods(), []);
  const pair = [await git('rev-parse', 'main:README.md'), await git('rev-parse', 'topic:README.md')] as const;
  const patches = (await all(service.diffBlobs([pair, [ZEROS, pair[0]]]))).map(({ patch }) => `${patch}`);
  assert.match(patches[0] ?? '', /^-ours\n\+theirs\n$/m);
  assert.match(patches[1] ?? '', /^\+ours$/m);
});

test('RepositoryService copies a branch, makes bundles, and finds pools', async () => {
  await using arranged = await arrangeServices();
  const { client, git, name, server } = arranged;
  const service = new RepositoryService(client, name);
  const of = (relativePath: string) => new RepositoryService(client, { ...name, relativePath });
  const topic = await git('rev-parse', 'topic');

  await of('fork.git').forkRepository(name, 'topic');
  const refs = ['for-each-ref', '--format=%(objectname) %(refname)'];
  const fork = { storageName: 'default', relativePath: 'fork.git' };
  assert.equal(await server.askGit(fork, refs), `${topic} refs/heads/topic`);
  await of('restored.git').createFromBundle(service.createBundle());
  const restored = { storageName: 'default', relativePath: 'restored.git' };
  assert.equal(await server.askGit(restored, refs), await git(...refs));
  assert.equal((await service.infoAttributes()).length, 0);
  assert.equal(await service.objectPool(), undefined);
  await service.disconnectAlternates();
  const found = (await all(service.searchFilesByRegexp('main', '\\.md$'))).map(
    (path) => `${Buffer.from(path)}`,
  );
  assert.deepEqual(found, ['README.md']);
});

test('requests have the defaults and timeouts of Rails', async () => {
  await using arranged = await arrangeServices();
  const { client, firstRequests, name, sent } = arranged;
  const service = new RepositoryService(client, name);
  const seconds = () => ((sent.at(-1)?.options.deadline?.getTime() ?? 0) - Date.now()) / 1000;

  await service.optimizeRepository();
  assert.equal(Object(firstRequests.at(-1)).strategy, 1, 'heuristical');
  await service.repositorySize();
  assert.ok(seconds() > 40, 'long is 55 s');
  await all(service.searchFilesByContent('main', 'x'));
  assert.ok(seconds() > 40, 'default is 55 s');
  const created = new RepositoryService(client, { ...name, relativePath: 'new.git' });
  await created.createRepository();
  assert.deepEqual(
    [Object(firstRequests.at(-1)).defaultBranch.length, Object(firstRequests.at(-1)).objectFormat],
    [0, 0],
  );
});
