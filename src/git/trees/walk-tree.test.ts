import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Repository } from '#storage/repository';
import { fc } from '#testkit/fast-check';
import { gitOutput } from '#testkit/repositories/init-repository';
import { runGit } from '#testkit/repositories/run-git';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { parseTreeInTurns } from '../objects/parse/parse-tree.ts';
import { TreeCursor } from '../objects/parse/tree-cursor.ts';
import { resolveTree } from './resolve-tree.ts';
import { MissingTreeError, walkTree } from './walk-tree.ts';

const modes = ['100644', '100755', '100664', '120000', '160000'];

/** Creates a tree of a few levels with unusual names with git; returns its id. */
function oddTree(directory: string, depth: number): string {
  const blob = gitOutput(directory, ['hash-object', '-w', '--stdin'], `level ${depth}\n`);
  const names = [
    'a',
    'a.b',
    'a-b',
    'a0',
    'ü',
    'l\xe9',
    'new\nline',
    'tab\t',
    '"quote"',
    'back\\slash',
    ' space ',
    '-dash',
    ':(top)x',
    '{{x}}',
  ];
  const submodule = '1'.repeat(blob.length);
  const lines = names.map((name, index) => {
    const mode = modes[index % modes.length];
    return mode === '160000'
      ? `160000 commit ${submodule}\t${name}-${depth}`
      : `${mode} blob ${blob}\t${name}-${depth}`;
  });
  if (depth > 0) {
    const below = oddTree(directory, depth - 1);
    for (const name of ['a', 'sub', 'z.d']) lines.push(`040000 tree ${below}\t${name}`);
  }
  return gitOutput(directory, ['mktree', '-z'], Buffer.from(`${lines.join('\0')}\0`, 'latin1'));
}

/** Returns git's list, with `-z`. */
function listedByGit(directory: string, args: readonly string[]): Promise<string[]> {
  return runGit(['ls-tree', '-z', ...args], { cwd: directory }).then((text) => text.split('\0').slice(0, -1));
}

async function walked(repository: Repository, name: string, recursive: boolean): Promise<string[]> {
  const found = await resolveTree(repository, Buffer.from(name), { peel: true });
  if (found.kind !== 'tree') throw new Error(found.kind);
  const lines: string[] = [];
  for await (const batch of walkTree(repository.objects, found.tree, { recursive })) {
    for (const { mode, kind, oid, path } of batch) {
      const type = kind === 'submodule' ? 'commit' : kind;
      lines.push(`${mode.toString(8).padStart(6, '0')} ${type} ${oid}\t${path.toString()}`);
    }
  }
  return lines;
}

for (const objectFormat of ['sha1', 'sha256'] as const) {
  test(`a ${objectFormat} tree with odd names and modes is listed as git lists it`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    const tree = oddTree(repository.path, 4);

    assert.deepEqual(
      await walked(repository, tree, true),
      await listedByGit(repository.path, ['-r', '-t', tree]),
    );
    assert.deepEqual(await walked(repository, tree, false), await listedByGit(repository.path, [tree]));
  });
}

test('a tree of hundreds of levels and thousands of directories is listed as git lists it', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const blob = gitOutput(repository.path, ['hash-object', '-w', '--stdin'], 'x');
  const paths = [
    ...Array.from({ length: 2500 }, (_, index) => `wide/${index % 50}/${index}/file`),
    `${Array.from({ length: 300 }, (_, level) => `level${level}`).join('/')}/file`,
  ];
  const stream = paths.map((path) => `M 100644 ${blob} ${path}\n`).join('');
  gitOutput(
    repository.path,
    ['fast-import', '--quiet'],
    `commit refs/heads/main\ncommitter C <c@x> 1 +0000\ndata 0\n${stream}\n`,
  );

  const lines = await walked(repository, 'main', true);

  assert.ok(lines.length > 5000);
  assert.deepEqual(lines, await listedByGit(repository.path, ['-r', '-t', 'main']));
});

test('the same tree in many places is listed in each', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  let tree = gitOutput(repository.path, ['mktree'], '');
  for (let level = 0; level < 4; level++) {
    tree = gitOutput(
      repository.path,
      ['mktree'],
      Array.from({ length: 6 }, (_, index) => `040000 tree ${tree}\t${index}\n`).join(''),
    );
  }

  assert.deepEqual(
    await walked(repository, tree, true),
    await listedByGit(repository.path, ['-r', '-t', tree]),
  );
});

test('what stands before a missing tree is listed, then the walk fails', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const inner = oddTree(repository.path, 0);
  const blob = gitOutput(repository.path, ['hash-object', '-w', '--stdin'], 'x');
  const tree = gitOutput(
    repository.path,
    ['mktree'],
    `100644 blob ${blob}\ta\n040000 tree ${inner}\tb\n100644 blob ${blob}\tc\n`,
  );
  rmSync(join(repository.path, 'objects', inner.slice(0, 2), inner.slice(2)));
  const found = await resolveTree(repository, Buffer.from(tree));
  assert.equal(found.kind, 'tree');

  const paths: string[] = [];
  const walk = async (): Promise<void> => {
    if (found.kind !== 'tree') return;
    for await (const batch of walkTree(repository.objects, found.tree, { recursive: true }))
      paths.push(...batch.map(({ path }) => path.toString()));
  };

  await assert.rejects(walk(), (error) => error instanceof MissingTreeError && error.oid === inner);
  assert.deepEqual(paths, ['a', 'b']);
});

test('a reader that leaves stops the reading ahead', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const blob = gitOutput(repository.path, ['hash-object', '-w', '--stdin'], 'x');
  const stream = Array.from({ length: 3000 }, (_, index) => `M 100644 ${blob} ${index}/file\n`).join('');
  gitOutput(
    repository.path,
    ['fast-import', '--quiet'],
    `commit refs/heads/main\ncommitter C <c@x> 1 +0000\ndata 0\n${stream}\n`,
  );
  const found = await resolveTree(repository, Buffer.from('main'), { peel: true });
  if (found.kind !== 'tree') throw new Error(found.kind);

  for await (const _ of walkTree(repository.objects, found.tree, { recursive: true })) break;
  await repository.objects.info('main');

  assert.ok(
    repository.caches.catFiles.counts.lookups.contents < 1100,
    `${repository.caches.catFiles.counts.lookups.contents} trees were read`,
  );
});

test('an aborted walk ends with the reason', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const tree = oddTree(repository.path, 3);
  const found = await resolveTree(repository, Buffer.from(tree));
  if (found.kind !== 'tree') throw new Error(found.kind);
  const controller = new AbortController();

  const walk = walkTree(repository.objects, found.tree, { recursive: true, signal: controller.signal });
  await walk.next();
  controller.abort();
  const rest = async (): Promise<void> => {
    for await (const _ of walk);
  };

  await assert.rejects(rest(), { code: 'CANCELLED', message: 'context canceled' });
});

test('the cursor reads what the parser reads, and what was written', async () => {
  const entry = fc.record({
    mode: fc.constantFrom('40000', '100644', '100755', '120000', '160000', '0', '7777777'),
    name: fc.uint8Array({ minLength: 1, maxLength: 60 }).filter((name) => !name.includes(0)),
    oid: fc.uint8Array({ minLength: 20, maxLength: 20 }),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(entry), async (entries) => {
      const data = Buffer.concat(
        entries.flatMap(({ mode, name, oid }) => [Buffer.from(`${mode} `), name, Buffer.from([0]), oid]),
      );

      const cursor = new TreeCursor(data, 20);
      const read = [];
      while (cursor.next()) read.push({ mode: cursor.mode, name: cursor.name(), oid: cursor.oid() });

      assert.deepEqual(read, await parseTreeInTurns(data, 20));
      assert.deepEqual(
        read.map(({ mode, name, oid }) => `${mode.toString(8)} ${name.toString('latin1')} ${oid}`),
        entries.map(
          ({ mode, name, oid }) =>
            `${Number.parseInt(mode, 8).toString(8)} ${Buffer.from(name).toString('latin1')} ` +
            `${Buffer.from(oid).toString('hex')}`,
        ),
      );
    }),
  );
});

test('garbage and cut off trees are errors, not hangs', async () => {
  const tree = Buffer.concat([
    Buffer.from('100644 name\0'),
    Buffer.alloc(20, 1),
    Buffer.from('40000 d\0'),
    Buffer.alloc(20, 2),
  ]);
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.uint8Array({ maxLength: 200 }),
        fc.nat(tree.length).map((end) => tree.subarray(0, end)),
        fc.nat(9).map((digits) => Buffer.concat([Buffer.from('1'.repeat(digits)), tree.subarray(6, 32)])),
        fc.tuple(fc.nat(tree.length - 1), fc.nat(255)).map(([at, byte]) => tree.with(at, byte)),
      ),
      async (bytes) => {
        const data = Buffer.from(bytes);
        const attempt = async (read: () => unknown): Promise<string> => {
          try {
            await read();
            return 'read';
          } catch (error) {
            return error instanceof Error ? error.message : String(error);
          }
        };
        const outcome = await attempt(() => {
          const cursor = new TreeCursor(data, 20);
          while (cursor.next());
        });
        assert.equal(outcome, await attempt(() => parseTreeInTurns(data, 20)));
        assert.ok(outcome === 'read' || outcome === 'malformed tree object');
      },
    ),
    { numRuns: 2000 },
  );
});

// Symptom: "grpc panic" in the log, or the end of the server, when a repository went away while a
// reader worked on a batch.
test('a tree that cannot be read while the reader has a batch fails the next batch only', async () => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('repo.git');
  const tree = oddTree(repository.path, 1);
  const found = await resolveTree(repository, Buffer.from(tree), { peel: true });
  assert.ok(found.kind === 'tree');
  const walk = walkTree(repository.objects, found.tree, { recursive: true });

  rmSync(repository.path, { recursive: true });
  repository.caches.forget(repository);
  assert.equal((await walk.next()).done, false);
  // This read comes after the one of the tree in the same process.
  await assert.rejects(repository.objects.readObject(tree.replace(/./g, '1')));

  await assert.rejects(walk.next(), (error) => !(error instanceof MissingTreeError));
});

test('no batch is empty, also where a batch of a thousand ends with a directory', async () => {
  await using fixture = await StorageFixture.create();
  const { objects, path } = fixture.init('x.git');
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
  const inner = gitOutput(path, ['mktree'], `100644 blob ${blob}\tf\n`);
  const empty = gitOutput(path, ['mktree'], '');
  const files = Array.from({ length: 999 }, (_, index) => `100644 blob ${blob}\ta${1000 + index}\n`).join('');
  for (const [directory, sizes] of [
    [inner, [1000, 1]],
    [empty, [1000]],
  ] as const) {
    const tree = gitOutput(path, ['mktree'], `${files}040000 tree ${directory}\tz\n`);
    const root = await objects.readObject(Buffer.from(tree));
    assert.ok(root);

    const batches = await Array.fromAsync(walkTree(objects, root, { recursive: true }));

    assert.deepEqual(
      batches.map(({ length }) => length),
      sizes,
    );
  }
});

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`${objectFormat}: an entry writes the path and the id that it has`, async () => {
    await using fixture = await StorageFixture.create();
    const { objects, path } = fixture.init('x.git', { objectFormat });
    const tree = oddTree(path, 2);
    const root = await objects.readObject(Buffer.from(tree));
    assert.ok(root);
    const out = Buffer.alloc(1000, '?');

    for (const prefix of ['', 'x'.repeat(100)])
      for await (const batch of walkTree(objects, root, { recursive: true, prefix: Buffer.from(prefix) }))
        for (const entry of batch) {
          const end = entry.writePath(out, 3);
          const last = entry.writeOid(out, end);

          assert.deepEqual([end - 3, last - end], [entry.pathLength, entry.oidLength]);
          assert.deepEqual(out.subarray(3, end), entry.path);
          assert.equal(out.toString('latin1', end, last), entry.oid);
          assert.equal(entry.path.toString().startsWith(prefix === '' ? '' : `${prefix}/`), true);
        }
  });

// Symptom: other calls waited for 40 to 70 ms.
test('a huge tree is listed in slices of the event loop', async () => {
  await using fixture = await StorageFixture.create();
  const { objects, path } = fixture.init('huge.git');
  const blob = gitOutput(path, ['hash-object', '-w', '--stdin'], 'x');
  const names = Array.from({ length: 100_000 }, (_, index) => `file-${index}`);
  const lines = names.map((name) => `100644 blob ${blob}\t${name}\n`);
  const tree = gitOutput(path, ['mktree'], lines.join(''));
  const root = await objects.readObject(Buffer.from(tree));
  assert.ok(root);
  let turns = 0;
  const count = (): void => {
    turns++;
    timer = setImmediate(count);
  };
  let timer = setImmediate(count);

  const paths: string[] = [];
  for await (const batch of walkTree(objects, root, { recursive: true }))
    paths.push(...batch.map((entry) => `${entry.path} ${entry.oid}`));

  clearImmediate(timer);
  assert.deepEqual(
    paths,
    names.toSorted().map((name) => `${name} ${blob}`),
  );
  assert.ok(turns > 2, `${turns} turns`);
});
