import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Repository } from '#storage/repository';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { flatPaths } from './flat-paths.ts';

let fixture: StorageFixture;
let repository: Repository;
let file: string;
before(async () => {
  fixture = await StorageFixture.create();
  repository = fixture.init('x.git');
  file = `100644 blob ${gitOutput(repository.path, ['hash-object', '-w', '--stdin'], 'x')}`;
});
after(() => fixture[Symbol.asyncDispose]());

const tree = (...lines: string[]): string => gitOutput(repository.path, ['mktree'], lines.join(''));

/** Returns a tree with directories in each other around another one. */
function around(inner: string, levels: number): string {
  let oid = inner;
  for (let level = levels; level > 0; level--) oid = tree(`040000 tree ${oid}\td${level}\n`);
  return oid;
}

async function flat(...trees: string[]): Promise<string[]> {
  const named = trees.map((oid, index) => ({ path: Buffer.from(`p${index}`), tree: oid }));
  return await Array.fromAsync(flatPaths(repository.objects, named), String);
}

test('directories that contain only one directory are skipped', async () => {
  const inner = tree(`${file}\tf\n`);
  const two = tree(`040000 tree ${inner}\ta\n`, `040000 tree ${inner}\tb\n`);
  const beside = tree(`040000 tree ${inner}\ta\n`, `${file}\tb\n`);
  const submodule = tree(`160000 commit ${'1'.repeat(40)}\ts\n`);

  assert.deepEqual(
    await flat(
      inner,
      around(inner, 1),
      around(inner, 3),
      around(two, 2),
      around(beside, 1),
      around(submodule, 1),
    ),
    ['p0', 'p1/d1', 'p2/d1/d2/d3', 'p3/d1/d2', 'p4/d1', 'p5/d1'],
  );
});

test('nine directories are skipped at most, and none of what is missing or no directory', async () => {
  const inner = tree(`${file}\tf\n`);
  const nine = Array.from({ length: 9 }, (_, index) => `/d${index + 1}`).join('');

  assert.deepEqual(await flat(around(inner, 9), around(inner, 10)), [`p0${nine}`, `p1${nine}`]);
  assert.deepEqual(await flat('1'.repeat(40), file.split(' ')[2] ?? ''), ['p0', 'p1']);
  assert.deepEqual(await flat(around(tree(), 2)), ['p0/d1/d2']);
});
