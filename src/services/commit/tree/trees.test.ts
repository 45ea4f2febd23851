import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { connectGrpc } from '#rpc/common/grpc/grpc-channel';
import { callable } from '#rpc/common/grpc/grpc-method';
import { commitFiles } from '#testkit/repositories/commit-files';
import { gitOutput, initRepository, initServed } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { CommitService, GetTreeEntriesRequest_SortBy as SortBy, type TreeEntry } from '#wire/gen/commit_pb';

const MIB = 1024 * 1024;
const MAX_PIECE_BYTES = 128 * 1024;
const repository = { storageName: 'default', relativePath: 'x.git' };

async function collect<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const message of messages) all.push(message);
  return all;
}

/** Creates a repository with these files on `main`; returns its directory. */
function withFiles(
  gitaly: TestGitaly,
  files: Readonly<Record<string, Uint8Array | string>>,
  objectFormat: 'sha1' | 'sha256' = 'sha1',
): string {
  const directory = initServed(gitaly, 'x.git', { objectFormat });
  commitFiles(directory, files);
  return directory;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  for (const bytes of [0, 1, MAX_PIECE_BYTES, MAX_PIECE_BYTES + 1, 3 * MIB]) {
    test(`TreeEntry sends a ${objectFormat} file of ${bytes} bytes whole, with its kind first`, async () => {
      await using gitaly = await startGitaly();
      const content = randomBytes(bytes);
      const directory = withFiles(gitaly, { 'a/b': content }, objectFormat);

      const messages = await collect(
        gitaly.connection.commit.treeEntry({
          repository,
          revision: Buffer.from('main'),
          path: Buffer.from('a/b'),
        }),
      );

      const [first, ...rest] = messages;
      assert.deepEqual(
        [first?.oid, first?.size, first?.mode],
        [gitOutput(directory, ['rev-parse', 'main:a/b']), BigInt(bytes), 0o100644],
      );
      assert.ok(
        rest.every(({ oid, size, mode, data }) => oid === '' && size === 0n && mode === 0 && data.length > 0),
      );
      assert.ok(messages.every(({ data }) => data.length <= MAX_PIECE_BYTES));
      assert.ok(Buffer.concat(messages.map(({ data }) => data)).equals(content));
    });
  }
}

test('TreeEntry cuts what it streams, and readers that leave do not disturb others', async () => {
  await using gitaly = await startGitaly();
  const content = randomBytes(8 * MIB);
  withFiles(gitaly, { big: content, small: 'small' });
  const entry = (path: string, limit = 0n) =>
    gitaly.connection.commit.treeEntry({
      repository,
      revision: Buffer.from('main'),
      path: Buffer.from(path),
      limit,
    });

  for await (const _ of entry('big')) break;
  const [cut, whole, small] = await Promise.all([
    collect(entry('big', 300_000n)),
    collect(entry('big')),
    collect(entry('small')),
  ]);

  assert.ok(Buffer.concat(cut.map(({ data }) => data)).equals(content.subarray(0, 300_000)));
  assert.ok(Buffer.concat(whole.map(({ data }) => data)).equals(content));
  assert.equal(Buffer.from(small[0]?.data ?? []).toString(), 'small');
});

test('TreeEntry refuses a file that is too large, however large, and goes on', async () => {
  await using gitaly = await startGitaly();
  withFiles(gitaly, { big: randomBytes(2 * MIB) });
  const entry = (maxSize: bigint) =>
    collect(
      gitaly.connection.commit.treeEntry({
        repository,
        revision: Buffer.from('main'),
        path: Buffer.from('big'),
        maxSize,
      }),
    );

  const text = 'object size (2097152) is bigger than the maximum allowed size (5)';
  await assert.rejects(entry(5n), { code: 'FAILED_PRECONDITION', message: text });
  assert.equal((await entry(BigInt(2 * MIB)))[0]?.size, BigInt(2 * MIB));
});

test('TreeEntry tells of one tree, also while the branch moves', async () => {
  await using gitaly = await startGitaly();
  const directory = withFiles(gitaly, { file: 'one\n' });
  const commits = ['one\n', 'two\n', 'three\n'].map((content) => {
    commitFiles(directory, { file: content });
    return gitOutput(directory, ['rev-parse', 'main']);
  });
  const ended = new AbortController();
  const moving = (async () => {
    for (let round = 0; !ended.signal.aborted; round++) {
      await runGit(['update-ref', 'refs/heads/main', commits[round % commits.length] ?? ''], {
        cwd: directory,
      });
    }
  })();

  for (let round = 0; round < 300; round++) {
    const [entry] = await collect(
      gitaly.connection.commit.treeEntry({
        repository,
        revision: Buffer.from('main'),
        path: Buffer.from('file'),
      }),
    );
    const data = Buffer.from(entry?.data ?? []);
    assert.equal(createHash('sha1').update(`blob ${data.length}\0`).update(data).digest('hex'), entry?.oid);
    assert.equal(entry?.size, BigInt(data.length));
  }
  ended.abort();
  await moving;
});

const line = ({ mode, oid, path }: TreeEntry): string =>
  `${mode.toString(8).padStart(6, '0')} ${oid} ${Buffer.from(path)}`;

/** Returns `<mode> <oid> <path>` of each entry, in git's order. */
async function listedByGit(directory: string, args: readonly string[]): Promise<string[]> {
  const lines = (await runGit(['ls-tree', '-z', ...args], { cwd: directory })).split('\0').slice(0, -1);
  return lines.map((entry) => entry.replace(/ (?:blob|tree|commit) /, ' ').replace('\t', ' '));
}

const manyFiles = (count: number): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: count }, (_, index) => [
      `directory-${index % 90}/sub-${index % 7}/file-${index}.txt`,
      `${index % 10}`,
    ]),
  );

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`GetTreeEntries lists thousands of ${objectFormat} entries in messages below 1 MiB`, async () => {
    await using gitaly = await startGitaly();
    const directory = withFiles(gitaly, manyFiles(15_000), objectFormat);

    const request = { repository, revision: Buffer.from('main'), path: Buffer.from('.'), recursive: true };
    const messages = await collect(gitaly.connection.commit.getTreeEntries(request));

    assert.deepEqual(
      messages.flatMap(({ entries }) => entries.map(line)),
      await listedByGit(directory, ['-r', '-t', 'main']),
    );
    assert.ok(messages.length > 1);
    assert.deepEqual(
      messages.map(({ paginationCursor }) => paginationCursor?.nextCursor),
      ['', ...messages.slice(1).map(() => undefined)],
    );
    assert.ok(messages.every(({ entries }) => entries.every(({ commitOid }) => commitOid === 'main')));
  });
}

test('GetTreeEntries lets readers leave', async () => {
  await using gitaly = await startGitaly();
  withFiles(gitaly, manyFiles(15_000));
  const request = { repository, revision: Buffer.from('main'), path: Buffer.from('.'), recursive: true };

  for await (const _ of gitaly.connection.commit.getTreeEntries(request)) break;
  const aborted = new AbortController();
  const left = collect(gitaly.connection.commit.getTreeEntries(request, { signal: aborted.signal }));
  aborted.abort();

  await assert.rejects(left, { code: 'CANCELLED' });
  assert.ok(
    (await collect(gitaly.connection.commit.getTreeEntries({ ...request, recursive: false }))).length === 1,
  );
});

for (const [name, sort] of [
  ['git', SortBy.DEFAULT],
  ['kind', SortBy.TREES_FIRST],
  ['path', SortBy.FILESYSTEM],
] as const) {
  for (const recursive of [false, true]) {
    test(`pages in order of ${name}, ${recursive ? '' : 'not '}recursive, make up the whole`, async () => {
      await using gitaly = await startGitaly();
      const files = {
        'a/x': '1',
        'a.b': '2',
        'a0/y': '3',
        'l/m/n/o': '4',
        '<&>': '5',
        'z z': '6',
        b: '7',
        '"quo\\"te"': '8',
      };
      const directory = withFiles(gitaly, files);
      const request = { repository, revision: Buffer.from('main'), path: Buffer.from('.'), recursive, sort };
      const [whole] = await collect(gitaly.connection.commit.getTreeEntries(request));
      assert.deepEqual(
        whole?.entries.map(({ path }) => Buffer.from(path).toString()),
        sortedPaths(directory, { recursive, sort }),
      );

      const entries: string[] = [];
      for (let pageToken: string | undefined = ''; pageToken !== undefined; ) {
        const page = gitaly.connection.commit.getTreeEntries({
          ...request,
          paginationParams: { limit: 2, pageToken },
        });
        const messages = await collect(page);
        entries.push(...messages.flatMap((message) => message.entries.map(line)));
        pageToken = messages[0]?.paginationCursor?.nextCursor || undefined;
        commitFiles(directory, { other: 'x' });
      }

      assert.deepEqual(entries, whole?.entries.map(line));
    });
  }
}

/** Returns the paths that git lists, in an order. */
function sortedPaths(
  directory: string,
  { recursive, sort }: { readonly recursive: boolean; readonly sort: SortBy },
): string[] {
  const args = ['ls-tree', '-z', '-t', ...(recursive ? ['-r'] : []), 'main'];
  const lines = gitOutput(directory, args).split('\0').filter(Boolean);
  const listed = lines.map((text) => ({ isTree: text.includes(' tree '), path: text.replace(/^.*?\t/, '') }));
  if (sort === SortBy.FILESYSTEM)
    listed.sort((a, b) => Buffer.compare(Buffer.from(a.path), Buffer.from(b.path)));
  if (sort === SortBy.TREES_FIRST) listed.sort((a, b) => Number(b.isTree) - Number(a.isTree));
  return listed.map(({ path }) => path);
}

test('GetTreeEntries follows directories that hold but one directory', async () => {
  await using gitaly = await startGitaly();
  withFiles(gitaly, { 'one/two/three/file': '', 'pair/a/x': '', 'pair/b/x': '', file: '' });

  const [message] = await collect(
    gitaly.connection.commit.getTreeEntries({
      repository,
      revision: Buffer.from('main'),
      path: Buffer.from('.'),
    }),
  );

  assert.deepEqual(
    message?.entries.map(({ path, flatPath }) => `${Buffer.from(path)}: ${Buffer.from(flatPath)}`),
    ['file: file', 'one: one/two/three', 'pair: pair'],
  );
});

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`ListFiles agrees with git in a ${objectFormat} repository, in messages below 1 MiB`, async () => {
    await using gitaly = await startGitaly();
    const directory = withFiles(gitaly, manyFiles(40_000), objectFormat);

    const messages = await collect(
      gitaly.connection.commit.listFiles({ repository, revision: Buffer.from('main') }),
    );

    assert.ok(messages.length > 1);
    assert.deepEqual(
      messages.flatMap(({ paths }) => paths.map((path) => Buffer.from(path).toString())),
      (await runGit(['ls-tree', '-r', '-z', '--name-only', 'main'], { cwd: directory }))
        .split('\0')
        .slice(0, -1),
    );
  });
}

// Before, clients of 15.0 found the field empty.
test('GetTreeEntries tells clients of 15.0 the tree of the revision with each entry', async () => {
  await using gitaly = await startGitaly();
  await using newer = await startGitaly({ config: { compatibility: { oldest_client: '16.7' } } });
  const paths = [gitaly, newer].map((each) => join(each.storagePath(), 'x.git'));
  const stream =
    'commit refs/heads/main\ncommitter C <c@x> 1600000000 +0000\ndata 0\nM 100644 inline d/e/f\n' +
    'data 0\nM 100644 inline g\ndata 0\n';
  for (const path of paths) {
    initRepository(path);
    gitOutput(path, ['fast-import', '--quiet', '--date-format=raw'], stream);
  }
  const root = gitOutput(paths[0] ?? '', ['rev-parse', 'main^{tree}']);
  const rootsOf = async ({ connection }: TestGitaly, path: string, recursive: boolean) => {
    const request = { repository: { storageName: 'default', relativePath: 'x.git' }, recursive };
    const revision = Buffer.from('main');
    const messages = connection.commit.getTreeEntries({ ...request, revision, path: Buffer.from(path) });
    const entries = (await collect(messages)).flatMap((message) => message.entries);
    return entries.map(({ rootOid }) => rootOid);
  };

  assert.deepEqual(await rootsOf(gitaly, '.', false), [root, root]);
  assert.deepEqual(await rootsOf(gitaly, '.', true), [root, root, root, root]);
  assert.deepEqual(await rootsOf(gitaly, 'd', false), [root]);
  assert.deepEqual(await rootsOf(newer, '.', false), ['', '']);
});

test('GetTreeEntries omits the field of 15.0 for clients with a newer grpc-go', async () => {
  await using gitaly = await startGitaly();
  withFiles(gitaly, { a: '' });
  const rootsFor = async (userAgent: string) => {
    const channel = connectGrpc(connect(gitaly.address.replace(/^unix:/, '')), { userAgent });
    const request = { repository, revision: Buffer.from('main'), path: Buffer.from('.') };
    const messages = await collect(channel.invoke(callable(CommitService.method.getTreeEntries), [request]));
    await channel.close();
    return messages.flatMap(({ entries }) => entries.map(({ rootOid }) => rootOid !== ''));
  };

  assert.deepEqual(await rootsFor('grpc-go/1.40.0'), [true]);
  assert.deepEqual(await rootsFor('grpc-ruby/1.42.0 grpc-c/20.0.0 (linux; chttp2)'), [true]);
  assert.deepEqual(await rootsFor('workhorse grpc-go/1.80.0'), [false]);
});
