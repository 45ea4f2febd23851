import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Repository } from '#storage/repository';
import { gitOutput } from '#testkit/repositories/init-repository';
import { GIT_ENVIRONMENT } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { outputSync } from '#testkit/run-program-sync';
import { ObjectWriter } from '../objects/write/write-objects.ts';
import { FILE_PATHS_LIMITS, filePaths } from './file-paths.ts';

const MANY = 300;

let fixture: StorageFixture;
let repository: Repository;
let blob: string;
before(async () => {
  fixture = await StorageFixture.create();
  repository = fixture.init('x.git');
  blob = gitOutput(repository.path, ['hash-object', '-w', '--stdin'], 'x');
  const link = `160000 commit ${'1'.repeat(40)}`;
  const inner = tree([`100644 blob ${blob}\tf`, `120000 blob ${blob}\tl\xe9`, `${link}\tsub`]);
  const many = tree(Array.from({ length: MANY }, (_, index) => `100755 blob ${blob}\tm${index}`));
  const outer = tree([`040000 tree ${inner}\tinner`, `040000 tree ${many}\tmany`, `100644 blob ${blob}\tz`]);
  const root = tree([
    `100644 blob ${blob}\ta`,
    `040000 tree ${outer}\ta.d`,
    `040000 tree ${inner}\tb`,
    `040000 tree ${gitOutput(repository.path, ['mktree'], '')}\tempty`,
    `${link}\tmodule`,
    `100644 blob ${blob}\tz`,
  ]);
  gitOutput(repository.path, ['update-ref', 'refs/heads/main', commit(root)]);
});
after(() => fixture[Symbol.asyncDispose]());

function tree(lines: readonly string[]): string {
  return gitOutput(repository.path, ['mktree', '-z'], Buffer.from(`${lines.join('\0')}\0`, 'latin1'));
}

function commit(root: string): string {
  return gitOutput(repository.path, ['commit-tree', root, '-m', 'x']);
}

/** Lists paths, one character per byte; a failure is its message. */
async function listed(path: string, revision = 'refs/heads/main'): Promise<readonly string[] | string> {
  const query = { revision: Buffer.from(revision), path: Buffer.from(path, 'latin1') };
  const batches = Array.fromAsync(filePaths(repository, query), (batch) => {
    assert.ok(batch.length > 0 && batch.length <= 256);
    return batch.map((each) => each.toString('latin1'));
  });
  return await batches.then((all) => all.flat(), String);
}

function listedByGit(path: string): readonly string[] {
  const args = ['ls-tree', '-r', '-z', '--full-tree', '--name-only', 'main', '--', path];
  const output = outputSync('git', args, { cwd: repository.path, env: GIT_ENVIRONMENT });
  return output.toString('latin1').split('\0').slice(0, -1);
}

const LIKE_GIT = ['.', 'a', 'a/', 'a.d', 'a.d/', 'a.d/many', 'a.d/inner/f', 'b', 'b/sub'];
const MISSING = ['module', 'empty', 'none', 'b/none', 'b/f/x', 'a/x', 'z/', 'a.d/z/', 'a.d/none/x', 'A'];
for (const path of [...LIKE_GIT, ...MISSING])
  test(`the files at ${JSON.stringify(path)} are those of git`, async () => {
    assert.deepEqual(await listed(path), listedByGit(path));
  });

for (const path of [
  '',
  '/',
  '/a',
  'a//',
  'b//f',
  './a',
  'b/../a',
  ':(top)a',
  ':a',
  'a\0',
  'module/',
  'module/x',
])
  test(`the path ${JSON.stringify(path)} is left to git`, async () => {
    assert.equal(await listed(path), 'FallBackToGit: an unusual path');
  });

test('a colon is unusual only at the beginning of a path', async () => {
  assert.deepEqual(await listed('a:b'), []);
});

for (const revision of ['refs/heads/none', 'main~0', '1234567'])
  test(`the revision ${revision} is left to git`, async () => {
    assert.equal(await listed('.', revision), 'FallBackToGit: an unusual revision');
  });

test('files of a commit with a SHA-256 id are listed', async () => {
  const other = fixture.init('other.git', { objectFormat: 'sha256' });
  const file = gitOutput(other.path, ['hash-object', '-w', '--stdin'], 'x');
  const root = gitOutput(other.path, ['mktree'], `100644 blob ${file}\ta\n100644 blob ${file}\tb\n`);
  const oid = gitOutput(other.path, ['commit-tree', root, '-m', 'x']);
  const revision = Buffer.from(oid);

  const batches = await Array.fromAsync(filePaths(other, { revision, path: Buffer.from('.') }));

  const names = gitOutput(other.path, ['ls-tree', '-r', '--name-only', oid]).split('\n');
  assert.deepEqual(batches.flat().map(String), names);
});

/** Returns a commit of a tree whose entries git would not write. */
async function oddCommit(data: string): Promise<string> {
  await using writer = new ObjectWriter(repository, 'sha1');
  const bytes = Buffer.concat([Buffer.from(data), Buffer.from(blob, 'hex')]);
  const root = await writer.write('tree', bytes);
  await writer.finish();
  return commit(root);
}

test('damaged trees are left to git', async () => {
  const broken = await oddCommit('100644 a');
  const wrong = await oddCommit('40000 d\0');

  for (const path of ['.', 'x'])
    assert.match(String(await listed(path, broken)), /^FallBackToGit: an object/);
  for (const path of ['.', 'd', 'd/x'])
    assert.equal(await listed(path, wrong), 'FallBackToGit: a directory is not a tree');
});

/** Returns a commit with some directories in each other, and their path. */
function nested(levels: number, name: string): [oid: string, path: string] {
  let oid = tree([`100644 blob ${blob}\tf`]);
  for (let level = 0; level < levels; level++) oid = tree([`040000 tree ${oid}\t${name}`]);
  return [commit(oid), `${name}/`.repeat(levels)];
}

test('directories in each other are listed up to a limit', async () => {
  const { depth } = FILE_PATHS_LIMITS;
  const [last, path] = nested(depth - 1, 'd');
  const [tooDeep] = nested(depth, 'd');

  assert.deepEqual(await listed('.', last), [`${path}f`]);
  assert.equal(await listed('.', tooDeep), 'FallBackToGit: there are very many directories');
});

test('long paths of directories are listed up to a limit', async () => {
  const name = 'x'.repeat(FILE_PATHS_LIMITS.pathBytes / 2 - 1);
  const [last, path] = nested(2, name);
  const [tooLong] = nested(2, `${name}x`);

  assert.deepEqual(await listed('.', last), [`${path}f`]);
  assert.equal(await listed('.', tooLong), 'FallBackToGit: a path is very long');
});

test('many directories are listed up to a limit', async () => {
  const inner = tree([`100644 blob ${blob}\tf`]);
  const many = (count: number): string =>
    commit(tree(Array.from({ length: count }, (_, index) => `040000 tree ${inner}\td${10_000 + index}`)));
  const count = FILE_PATHS_LIMITS.trees - 1;

  assert.equal((await listed('.', many(count))).length, count);
  assert.equal(await listed('.', many(count + 1)), 'FallBackToGit: there are very many directories');
});
