import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { test } from 'node:test';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import { fc } from '#testkit/fast-check';
import { gitOutput } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { outputSync } from '#testkit/run-program-sync';
import { RefusedTreeError, TreeEditor } from './tree-editor.ts';

interface File {
  readonly path: string;
  readonly mode: '100644' | '100755' | '120000' | '160000';
}

type Edit = { readonly put: File } | { readonly remove: string };

/**
 * Names whose order in git is easily implemented wrongly, including files and directories with the
 * same prefix.
 */
const NAME = fc.constantFrom('a', 'a-b', 'a.b', 'a0', 'ab', 'b', 'é', '-');
const PATH = fc.array(NAME, { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const FILE = fc.record<File>({ path: PATH, mode: fc.constantFrom('100644', '100755', '120000', '160000') });
const EDIT = fc.oneof(
  FILE.map((put) => ({ put })),
  PATH.map((remove) => ({ remove })),
);

/** git's own index, in which paths are added and removed as by an editor. */
class Index {
  readonly #repository: Repository;
  readonly #file: string;
  readonly #blob: string;

  constructor(repository: Repository, blob: string) {
    this.#repository = repository;
    this.#file = `${repository.path}/index`;
    this.#blob = blob;
    rmSync(this.#file, { force: true });
  }

  put({ path, mode }: File): void {
    const oid = mode === '160000' ? '1'.repeat(this.#blob.length) : this.#blob;
    this.#git(['update-index', '--replace', '--index-info'], `${mode} ${oid}\t${path}\n`);
  }

  remove(path: string): void {
    const below = this.#git(['ls-files', '-z', '--', path], '').split('\0').slice(0, -1);
    this.#git(['update-index', '--force-remove', '-z', '--stdin'], below.map((file) => `${file}\0`).join(''));
  }

  writeTree(): string {
    return this.#git(['write-tree'], '').trim();
  }

  #git(args: string[], input: string): string {
    const env = {
      GIT_INDEX_FILE: this.#file,
      GIT_LITERAL_PATHSPECS: '1',
      GIT_WORK_TREE: this.#repository.path,
    };
    return outputSync('git', args, { cwd: this.#repository.path, env, input }).toString();
  }
}

async function edited(
  repository: Repository,
  treeOid: string | undefined,
  edit: (tree: TreeEditor) => Promise<void>,
): Promise<string> {
  const objectFormat = repository.objectFormat;
  const tree = new TreeEditor({ objects: repository.objects, objectFormat }, treeOid);
  await edit(tree);
  await using writer = new ObjectWriter(repository, objectFormat);
  const oid = await tree.write(writer);
  await writer.finish();
  return oid;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`an edited tree is the one of git write-tree in a ${objectFormat} repository`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    const blob = fixture.runGit(repository.path, ['hash-object', '-w', '--stdin'], 'x');
    const oidOf = ({ mode }: File): string => (mode === '160000' ? '1'.repeat(blob.length) : blob);

    await fc.assert(
      fc.asyncProperty(
        fc.array(FILE, { maxLength: 12 }),
        fc.array(EDIT, { maxLength: 8 }),
        async (files, edits) => {
          const index = new Index(repository, blob);
          for (const file of files) index.put(file);
          const before = index.writeTree();

          const after = await edited(repository, before, async (tree) => {
            for (const each of edits as Edit[]) {
              if ('remove' in each) {
                await tree.remove(Buffer.from(each.remove));
                index.remove(each.remove);
                continue;
              }
              const { path, mode } = each.put;
              try {
                await tree.put(Buffer.from(path), { mode: Number.parseInt(mode, 8), oid: oidOf(each.put) });
                index.put(each.put);
              } catch (error) {
                assert.ok(error instanceof RefusedTreeError); // below a file, which git's index would replace
              }
            }
          });

          assert.equal(after, index.writeTree());
        },
      ),
      { numRuns: 40 },
    );
    assert.equal(fixture.runGit(repository.path, ['fsck', '--strict', '--no-dangling']), '');
  });
}

test('a directory of thousands is changed in one place, and in all', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const blob = fixture.runGit(repository.path, ['hash-object', '-w', '--stdin'], 'x');
  const index = new Index(repository, blob);
  const names = Array.from({ length: 3000 }, (_, number) => `d/f${number}`);

  const made = await edited(repository, undefined, async (tree) => {
    for (const name of names) await tree.put(Buffer.from(name), { mode: 0o100644, oid: blob });
  });
  const changed = await edited(repository, made, (tree) =>
    tree.put(Buffer.from('d/f1500'), { mode: 0o100755, oid: blob }),
  );
  const emptied = await edited(repository, made, async (tree) => {
    for (const name of names) assert.ok(await tree.remove(Buffer.from(name)));
  });

  index.put({ path: 'd', mode: '100644' });
  assert.equal(emptied, fixture.runGit(repository.path, ['mktree'], ''));
  assert.equal(fixture.runGit(repository.path, ['diff-tree', '-r', made, changed]).split('\n').length, 1);
  assert.equal(
    fixture.runGit(repository.path, ['ls-tree', '-r', '--name-only', made]).split('\n').length,
    names.length,
  );
  assert.equal(fixture.runGit(repository.path, ['fsck', '--strict', '--no-dangling']), '');
});

test('old file modes become current ones in a directory that changes, and stay in others', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const blob = fixture.runGit(repository.path, ['hash-object', '-w', '--stdin'], 'x');
  const raw = Buffer.from(blob, 'hex');
  const old = Buffer.concat([Buffer.from('100664 a\0'), raw, Buffer.from('100644 b\0'), raw]);
  const oldOid = gitOutput(
    repository.path,
    ['hash-object', '-t', 'tree', '-w', '--stdin', '--literally'],
    old,
  );
  const root = Buffer.concat([Buffer.from('040000 d\0'), Buffer.from(oldOid, 'hex')]);
  const rootOid = gitOutput(
    repository.path,
    ['hash-object', '-t', 'tree', '-w', '--stdin', '--literally'],
    root,
  );

  const beside = await edited(repository, rootOid, (tree) =>
    tree.put(Buffer.from('e'), { mode: 0o100644, oid: blob }),
  );
  const inside = await edited(repository, rootOid, (tree) =>
    tree.put(Buffer.from('d/c'), { mode: 0o100644, oid: blob }),
  );

  assert.equal(fixture.runGit(repository.path, ['rev-parse', `${beside}:d`]), oldOid);
  const data = outputSync('git', ['cat-file', 'tree', `${inside}:d`], { cwd: repository.path });
  assert.equal(
    data
      .toString('latin1')
      .match(/\d{5,6} [abc]\0/g)
      ?.join(),
    '100644 a\0,100644 b\0,100644 c\0',
  );
});

for (const [path, mode] of [
  ['.GIT', 0o100644],
  ['a/.git/x', 0o100644],
  ['git~1', 0o100644],
  ['.git. /x', 0o100644],
  ['.g\u200cit', 0o100644],
  ['a\\.git', 0o100644],
  ['a\0b', 0o100644],
  ['.gitmodules', 0o120000],
  ['x'.repeat(4097), 0o100644],
] as const) {
  test(`no tree gets ${JSON.stringify(path.slice(0, 20))} with mode ${mode.toString(8)}`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git');

    await assert.rejects(
      edited(repository, undefined, (tree) => tree.put(Buffer.from(path), { mode, oid: '1'.repeat(40) })),
      { message: 'writing tree: exit status 128' },
    );
  });
}
