import assert from 'node:assert/strict';
import { test } from 'node:test';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { EMPTY_TREE, type Oid } from '../names/object-id.ts';
import type { TreeEntry } from '../objects/parse/parse-tree.ts';
import { ObjectWriter } from '../objects/write/write-objects.ts';
import { MAX_TREE_DEPTH, requireDepthOf, requireTreeDepth } from './tree-depth.ts';

const TOO_DEEP = {
  code: 'FAILED_PRECONDITION',
  message: 'directories are nested deeper than 2048 levels',
};
const [DIRECTORY, FILE] = [0o040000, 0o100644];

/** Entries of the trees, by their ids, which are short names here. */
class Trees {
  readonly #entries = new Map<string, readonly TreeEntry[]>();
  reads = 0;

  /** Adds a tree. @param entries names with their modes and ids. */
  add(id: string, entries: Readonly<Record<string, readonly [mode: number, id: string]>>): string {
    const all = Object.entries(entries).map(([name, [mode, oid]]): TreeEntry => {
      return { mode, name: Buffer.from(name), oid: oid as Oid }; // only compared
    });
    this.#entries.set(id, all);
    return id;
  }

  /** Adds a tree with this number of directories, one in the other. */
  nested(levels: number): string {
    let id = this.add('level 0', {});
    for (let level = 1; level <= levels; level++) id = this.add(`level ${level}`, { d: [DIRECTORY, id] });
    return id;
  }

  async require(...ids: readonly string[]): Promise<void> {
    const read = async (id: string): Promise<readonly TreeEntry[]> => {
      this.reads++;
      return this.#entries.get(id) ?? [];
    };
    await requireTreeDepth(read, ids);
  }
}

test('directories may be nested 2,048 times', async () => {
  const trees = new Trees();

  await trees.require(trees.nested(MAX_TREE_DEPTH));
  await assert.rejects(trees.require(trees.nested(MAX_TREE_DEPTH + 1)), TOO_DEEP);
});

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`directories of a ${objectFormat} commit may be nested 2,048 times`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    await using writer = new ObjectWriter(repository, objectFormat);
    let oid = await writer.writeTree([]);
    let last = '';
    for (let level = 0; level <= MAX_TREE_DEPTH; level++) {
      last = oid;
      oid = await writer.writeTree([{ mode: DIRECTORY, name: Buffer.from('d'), oid }]);
    }
    await writer.finish();
    const { signal } = new AbortController();

    await requireDepthOf(repository, last, signal);
    await assert.rejects(requireDepthOf(repository, oid, signal), TOO_DEEP);
    await assert.rejects(requireDepthOf(repository, last, AbortSignal.abort(new Error('left'))), /left/);
    // git reports it.
    await requireDepthOf(repository, 'none', signal);
  });

test('a merge looks only into directories that differ, or are not in all trees', async () => {
  const trees = new Trees();
  const deep = trees.nested(MAX_TREE_DEPTH + 10);
  const file = [FILE, EMPTY_TREE.sha1] as const;
  const one = trees.add('one', { a: file, deep: [DIRECTORY, deep] });
  const other = trees.add('other', { b: file, deep: [DIRECTORY, deep] });
  const without = trees.add('without', { c: file });
  const shallower = trees.add('shallower', { deep: [DIRECTORY, `level ${MAX_TREE_DEPTH}`] });

  await trees.require(one, other, one);
  assert.equal(trees.reads, 2);
  await trees.require(deep, deep);
  assert.equal(trees.reads, 2);
  await assert.rejects(trees.require(one, other, without), TOO_DEEP);
  await assert.rejects(trees.require(one, shallower), TOO_DEEP);
});

test('a directory in many places is read once', async () => {
  const trees = new Trees();
  let id = trees.add('leaf', {});
  for (let level = 0; level < 40; level++)
    id = trees.add(`${level}`, { a: [DIRECTORY, id], b: [DIRECTORY, id], file: [FILE, 'leaf'] });

  await trees.require(id);

  assert.equal(trees.reads, 41);
});

test('beyond 20,000 trees the depth is left to git', async () => {
  const trees = new Trees();
  const deep = trees.nested(MAX_TREE_DEPTH + 1);
  const many = Array.from({ length: 20_000 }, (_, index) => [`${index}`, [DIRECTORY, `${index}`]] as const);
  const wide = trees.add('wide', { deep: [DIRECTORY, deep], ...Object.fromEntries(many) });

  await trees.require(wide);
});
