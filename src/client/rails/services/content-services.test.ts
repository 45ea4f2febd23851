import assert from 'node:assert/strict';
import { test } from 'node:test';
import { arrangeServices, toTexts } from '#testkit/clients/rails-fixture';
import { ChangedPaths_Status } from '#wire/gen/diff_pb';
import { AnalysisService, BlobService, CleanupService, CommitService, DiffService } from '../index.ts';

/** The file on the branches: `topic` has changed it. */
const README = { main: 'hello\n', topic: 'hello again\n' };
const ZEROS = '0'.repeat(40);
const all = Array.fromAsync;

test('CommitService reads commits, trees and files', async () => {
  await using arranged = await arrangeServices(README);
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
  const tops = await toTexts(entryPaths(service.treeEntries('main', '')));
  assert.deepEqual(tops, ['src', 'README.md'], 'directories first');
  assert.deepEqual(await toTexts(service.lsFiles('main')), ['README.md', 'src/a.ts', 'src/b.ts']);

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
  await using arranged = await arrangeServices(README);
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
  assert.deepEqual(await toTexts(entryPaths(diffs.findChangedPaths([to]))), ['README.md']);
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

test('AnalysisService finds generated files, CleanupService removes data from the history', async () => {
  await using arranged = await arrangeServices(README);
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
