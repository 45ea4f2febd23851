import assert from 'node:assert/strict';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { USER } from '#testkit/user';
import {
  applyBfgObjectMap,
  applyPatch,
  type Content,
  checkBlobsGenerated,
  checkObjectsExist,
  collect,
  commitFiles,
  createRepositoryFromBundle,
  dial,
  gitalyServers,
  type Interceptor,
  resolveConflicts,
  rewriteHistory,
  setCustomHooks,
  splitBytes,
  splitItems,
  updateRemoteMirror,
} from '../index.ts';

const REPOSITORY = { storageName: 'default', relativePath: 'a.git', glRepository: 'project-1' };
const HEADER = {
  repository: REPOSITORY,
  user: USER,
  branchName: Buffer.from('main'),
  commitMessage: Buffer.from('change'),
};
const LARGE = Buffer.alloc(300_000, 'large');

async function emptyRepository(gitaly: TestGitaly): Promise<string> {
  await gitaly.connection.repository.createRepository({
    repository: REPOSITORY,
    defaultBranch: Buffer.from('main'),
  });
  return join(gitaly.storagePath(), 'a.git');
}

async function sizesOf(content: Content): Promise<number[]> {
  return (await Array.fromAsync(splitBytes(content))).map(({ byteLength }) => byteLength);
}

test('content is split at 128 KiB', async () => {
  assert.deepEqual(await sizesOf(''), []);
  assert.deepEqual(await sizesOf('é'), [2]);
  assert.deepEqual(await sizesOf(Buffer.alloc(131_072)), [131_072]);
  assert.deepEqual(await sizesOf(Buffer.alloc(131_073)), [131_072, 1]);
  assert.deepEqual(
    await sizesOf(Readable.from([Buffer.alloc(3), Buffer.alloc(0), Buffer.alloc(262_145)])),
    [3, 131_072, 131_072, 1],
  );
});

test('items are grouped by the hundred', async () => {
  const sizes = async (count: number) =>
    (await Array.fromAsync(splitItems(new Array(count).keys()))).map((group) => group.length);

  assert.deepEqual(
    [await sizes(0), await sizes(1), await sizes(100), await sizes(201)],
    [[], [1], [100], [100, 100, 1]],
  );
});

test('a commit accepts all kinds of changes, with contents of any size and from streams', async () => {
  await using gitaly = await startGitaly();
  const path = await emptyRepository(gitaly);
  const { connection } = gitaly;

  await commitFiles(connection, HEADER, [
    { type: 'create', path: 'large', content: Readable.from([LARGE, LARGE]) },
    { type: 'create', path: 'run', content: 'echo hi\n', executable: true },
    { type: 'create', path: 'old', content: 'old' },
    { type: 'create', path: 'gone', content: '' },
  ]);
  const update = await commitFiles(connection, HEADER, [
    { type: 'update', path: 'large', content: LARGE },
    { type: 'move', path: 'new', previousPath: 'old' },
    { type: 'delete', path: 'gone' },
    { type: 'chmod', path: 'run', executable: false },
    { type: 'create_directory', path: 'dir' },
  ]);

  const tree = (revision: string) =>
    gitOutput(path, ['ls-tree', '-r', '--format=%(objectmode) %(objectsize) %(path)', revision]).split('\n');
  assert.deepEqual(tree('main^'), ['100644 0 gone', '100644 600000 large', '100644 3 old', '100755 8 run']);
  assert.deepEqual(tree('main'), [
    '100644 0 dir/.gitkeep',
    '100644 300000 large',
    '100644 3 new',
    '100644 8 run',
  ]);
  assert.equal(update?.commitId, gitOutput(path, ['rev-parse', 'main']));
  await assert.rejects(commitFiles(connection, HEADER, [{ type: 'delete', path: 'none' }]), {
    reason: 'indexUpdate',
  });
});

test('a content that fails ends the commit with its error, and the branch is unchanged', async () => {
  await using gitaly = await startGitaly();
  const path = await emptyRepository(gitaly);
  async function* failing() {
    yield LARGE;
    throw new Error('disk gone');
  }

  await assert.rejects(
    commitFiles(gitaly.connection, HEADER, [{ type: 'create', path: 'a', content: failing() }]),
    {
      message: 'disk gone',
    },
  );
  assert.equal(gitOutput(path, ['for-each-ref']), '');
});

test('conflicts are resolved, with resolutions longer than a message', async () => {
  await using gitaly = await startGitaly();
  const path = await emptyRepository(gitaly);
  const { connection } = gitaly;
  const write = (branch: string, content: string, startBranch: string) =>
    commitFiles(
      connection,
      { ...HEADER, branchName: Buffer.from(branch), startBranchName: Buffer.from(startBranch) },
      [{ type: branch === startBranch && content === 'base\n' ? 'create' : 'update', path: 'file', content }],
    );
  await write('main', 'base\n', 'main');
  await write('theirs', 'theirs\n', 'main');
  await write('main', 'ours\n', 'main');
  const resolved = 'résolu\n'.repeat(40_000);
  const options = { metadata: gitalyServers({ default: { address: gitaly.address } }) };
  const header = {
    repository: REPOSITORY,
    targetRepository: REPOSITORY,
    user: USER,
    commitMessage: Buffer.from('merge'),
    ourCommitOid: gitOutput(path, ['rev-parse', 'theirs']),
    theirCommitOid: gitOutput(path, ['rev-parse', 'main']),
    sourceBranch: Buffer.from('theirs'),
    targetBranch: Buffer.from('main'),
  };

  await assert.rejects(
    resolveConflicts(
      connection,
      header,
      [{ old_path: 'file', new_path: 'file', sections: { wrong: 'head' } }],
      options,
    ),
    {
      code: 'FAILED_PRECONDITION',
      message: /^Missing resolution for section ID/,
    },
  );
  await resolveConflicts(
    connection,
    header,
    [{ old_path: 'file', new_path: 'file', content: resolved }],
    options,
  );

  assert.equal(gitOutput(path, ['show', 'theirs:file']), resolved.trimEnd());
  assert.equal(gitOutput(path, ['rev-list', '--count', '--merges', 'theirs']), '1');
});

test('a patch larger than a message is applied', async () => {
  await using gitaly = await startGitaly();
  const path = await emptyRepository(gitaly);
  const { connection } = gitaly;
  await commitFiles(connection, HEADER, [{ type: 'create', path: 'a', content: 'a\n' }]);
  await commitFiles(
    connection,
    { ...HEADER, branchName: Buffer.from('other'), startBranchName: Buffer.from('main') },
    [{ type: 'create', path: 'b', content: 'some line\n'.repeat(30_000) }],
  );
  const patch = gitOutput(path, ['format-patch', '--stdout', 'main..other']);

  const header = { repository: REPOSITORY, user: USER, targetBranch: Buffer.from('main') };
  const update = await applyPatch(connection, header, `${patch}\n`);

  assert.equal(update?.commitId, gitOutput(path, ['rev-parse', 'main']));
  assert.equal(gitOutput(path, ['rev-parse', 'main^{tree}']), gitOutput(path, ['rev-parse', 'other^{tree}']));
});

test('objects are checked in groups, and reported under their names', async () => {
  await using gitaly = await startGitaly();
  await emptyRepository(gitaly);
  const { connection } = gitaly;
  await commitFiles(connection, HEADER, [{ type: 'create', path: 'a', content: 'a' }]);
  const names = Array.from({ length: 250 }, (_, i) => (i % 2 === 0 ? 'main' : `no-${i}`));

  const found = await Array.fromAsync(checkObjectsExist(connection, REPOSITORY, names));

  assert.deepEqual(
    found.map(({ name, exists }) => [Buffer.from(name).toString(), exists]),
    names.map((name) => [name, name === 'main']),
  );
  assert.deepEqual(await Array.fromAsync(checkObjectsExist(connection, REPOSITORY, [])), []);
});

test('generated blobs are reported in groups', async () => {
  await using gitaly = await startGitaly();
  await emptyRepository(gitaly);
  const { connection } = gitaly;
  await commitFiles(connection, HEADER, [{ type: 'create', path: 'package-lock.json', content: '{}' }]);
  const blobs = Array.from({ length: 101 }, () => ({
    revision: Buffer.from('main:package-lock.json'),
    path: Buffer.from('package-lock.json'),
  }));

  const told = await Array.fromAsync(checkBlobsGenerated(connection, REPOSITORY, blobs));

  assert.equal(told.filter(({ generated }) => generated).length, 101);
  assert.deepEqual(await Array.fromAsync(checkBlobsGenerated(connection, REPOSITORY, [])), []);
});

test('other uploads name the repository only in the first message', async () => {
  const sent: unknown[][] = [];
  const watching: Interceptor = (invocation, next) => {
    const messages: unknown[] = [];
    sent.push(messages);
    const requests = async function* () {
      for await (const request of invocation.requests) {
        messages.push(request);
        yield request;
      }
    };
    return next({ ...invocation, requests: requests() });
  };
  await using gitaly = await startGitaly();
  await using connection = await dial(gitaly.address, { interceptors: [watching] });
  const repository = REPOSITORY;
  // a server may refuse any of them; the test checks only what was sent before
  const ignore = () => {};
  const pieces = [LARGE.subarray(0, 131_072), LARGE.subarray(131_072, 262_144), LARGE.subarray(262_144)];

  await createRepositoryFromBundle(connection, repository, LARGE).catch(ignore);
  await setCustomHooks(connection, repository, LARGE).catch(ignore);
  await collect.bytes(applyBfgObjectMap(connection, repository, LARGE), () => Buffer.alloc(0)).catch(ignore);
  await rewriteHistory(connection, repository, { blobs: new Array(150).fill('b'), redactions: ['r'] }).catch(
    ignore,
  );
  await updateRemoteMirror(connection, {
    repository,
    onlyBranchesMatching: new Array(101).fill(Buffer.from('p')),
  }).catch(ignore);

  const begins = (messages: unknown[] | undefined, expected: unknown[]) => {
    assert.ok(messages !== undefined && messages.length > 0);
    assert.deepEqual(messages, expected.slice(0, messages.length));
  };
  begins(sent[0], [{ repository }, ...pieces.map((data) => ({ data }))]);
  begins(sent[1], [{ repository }, ...pieces.map((data) => ({ data }))]);
  begins(sent[2], [{ repository }, ...pieces.map((objectMap) => ({ objectMap }))]);
  begins(sent[3], [
    { repository },
    { blobs: new Array(100).fill('b') },
    { blobs: new Array(50).fill('b') },
    { redactions: [Buffer.from('r')] },
  ]);
  const patterns = (count: number) => ({ onlyBranchesMatching: new Array(count).fill(Buffer.from('p')) });
  begins(sent[4], [{ repository, onlyBranchesMatching: [] }, patterns(100), patterns(1)]);
});
