import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gitOutput } from '#testkit/repositories/init-repository';
import { startGitaly, type TestGitaly } from '#testkit/start-gitaly';
import { type Connection, dial, type Interceptor, paginate } from '../index.ts';

const COUNT = 25;
const PAGE = { pageSize: 10 };
const repository = { storageName: 'default', relativePath: 'a.git' };
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const lines = (...args: string[]) => gitOutput(path, args).split('\n');

let gitaly: TestGitaly;
let connection: Connection;
let path: string;
let calls = 0;

before(async () => {
  gitaly = await startGitaly();
  const counting: Interceptor = (invocation, next) => {
    calls++;
    return next(invocation);
  };
  connection = await dial(gitaly.address, { interceptors: [counting] });
  path = join(gitaly.storagePath(), 'a.git');
  gitOutput('/', ['init', '-q', '--bare', '-b', 'main', path]);
  const stream = [];
  for (let i = 0; i < COUNT; i++) {
    stream.push('commit refs/heads/main', `committer C <c@x> ${1000 + i} +0000`, 'data 1', 'm');
    stream.push(`M 100644 inline file-${String(i).padStart(2, '0')}`, 'data 1', 'x');
    if (i % 5 === 0) stream.push(`M 100644 inline dir-${i}/a`, 'data 1', 'x');
    stream.push(
      '',
      `reset refs/heads/b${i}`,
      'from refs/heads/main',
      '',
      `reset refs/tags/t${i}`,
      'from refs/heads/main',
      '',
    );
  }
  gitOutput(path, ['fast-import', '--quiet', '--done'], [...stream, 'done', ''].join('\n'));
});

after(async () => {
  await connection.close();
  await gitaly[Symbol.asyncDispose]();
});

async function counted<T>(items: AsyncIterable<T>): Promise<{ items: T[]; calls: number }> {
  calls = 0;
  return { items: await Array.fromAsync(items), calls };
}

test('references are read page by page, HEAD once', async () => {
  const request = { repository, patterns: [Buffer.from('refs/')], head: true };
  const { items, calls: pages } = await counted(paginate.refs(connection, request, PAGE));

  assert.deepEqual(
    items.map(({ name, target }) => `${target} ${text(name)}`),
    [
      `${gitOutput(path, ['rev-parse', 'HEAD'])} HEAD`,
      ...lines('for-each-ref', '--format=%(objectname) %(refname)'),
    ],
  );
  assert.equal(pages, 6); // 51 references
});

test('branches and tags are read page by page', async () => {
  const branches = await counted(paginate.localBranches(connection, { repository }, PAGE));
  const tags = await counted(paginate.tags(connection, { repository }, PAGE));

  assert.deepEqual(
    branches.items.map(({ name, targetCommit }) => `${targetCommit?.id} ${text(name)}`),
    lines('for-each-ref', '--format=%(objectname) %(refname)', 'refs/heads'),
  );
  assert.deepEqual(
    tags.items.map(({ name, id }) => `${id} ${text(name)}`),
    lines('for-each-ref', '--format=%(objectname) %(refname:strip=2)', 'refs/tags'),
  );
  assert.deepEqual([branches.calls, tags.calls], [3, 3]);
});

test('tree entries are read page by page', async () => {
  const request = { repository, revision: Buffer.from('main'), path: Buffer.from('.') };
  const { items, calls: pages } = await counted(paginate.treeEntries(connection, request, PAGE));

  assert.deepEqual(
    items.map((entry) => text(entry.path)),
    lines('ls-tree', '--name-only', 'main'),
  );
  assert.equal(pages, 3); // 30 entries
});

test('commits are read page by page', async () => {
  const { items, calls: pages } = await counted(
    paginate.commits(connection, { repository, revisions: ['main'] }, PAGE),
  );

  assert.deepEqual(
    items.map(({ id }) => id),
    lines('rev-list', 'main'),
  );
  assert.equal(pages, 3);
});

test('a list that ends with a full page ends', async () => {
  const five = await counted(
    paginate.commits(connection, { repository, revisions: ['main'] }, { pageSize: 5 }),
  );
  const tags = await counted(paginate.tags(connection, { repository }, { pageSize: 25 }));

  assert.deepEqual([five.items.length, tags.items.length], [COUNT, COUNT]);
});

test('leaving the loop requests no further page', async () => {
  calls = 0;
  for await (const _ of paginate.commits(connection, { repository, revisions: ['main'] }, PAGE)) break;

  assert.equal(calls, 1);
});

test('the error of a page is thrown', async () => {
  const none = { storageName: 'default', relativePath: 'none.git' };

  await assert.rejects(Array.fromAsync(paginate.tags(connection, { repository: none })), {
    code: 'NOT_FOUND',
  });
});
