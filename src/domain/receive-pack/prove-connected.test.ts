import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { EMPTY_TREE } from '#git/names/object-id';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Repository } from '#storage/repository';
import { gitOutput } from '#testkit/repositories/init-repository';
import { ZERO_OID } from '#testkit/repositories/push';
import { seededRandom } from '#testkit/repositories/random-history';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { runSync } from '#testkit/run-program-sync';
import { testSeed } from '#testkit/test-seed';
import { type ProofContext, proveConnected } from './prove-connected.ts';

const SEED = testSeed();
const PUSHES = 80;
const { signal } = new AbortController();

interface Entry {
  readonly mode: number;
  readonly oid: string;
}

const FILE = 0o100644;
const DIRECTORY = 0o040000;

const MODES = { d: 0o040000, f: 0o100644, s: 0o160000 } as const;
const GONE = '1'.repeat(40);
const NOT_REACHABLE = /^a commit may not be reachable$/;
const UNUSUAL = /^an object is unusual$/;

/** The entries of a tree: a first letter `d`, `f` or `s` for directories, files, submodules. */
type Entries = Readonly<Record<string, string>>;

let fixture: StorageFixture;
let repository: Repository;
let writer: ObjectWriter;
let count = 0;
/** Ids of the objects of the repository. */
let old: Readonly<Record<'file' | 'other' | 'inner' | 'tree' | 'main' | 'side' | 'stray' | 'lacks', string>>;
/** Ids of the objects that a push brings. */
let added: Set<string>;

const blob = async (): Promise<string> => await writer.write('blob', Buffer.from(`${count++}`));
const treeOf = async (entries: Entries): Promise<string> =>
  await writer.writeTree(
    Object.entries(entries).map(([name, oid]) => {
      // The type of keys: the names that tests choose.
      const mode = MODES[name.charAt(0) as keyof typeof MODES];
      return { mode, oid, name: Buffer.from(name) };
    }),
  );
const commit = async (tree: string, ...parents: string[]): Promise<string> => {
  const lines = parents.map((oid) => `parent ${oid}\n`).join('');
  const person = `a <> ${1_700_000_000 + count++} +0000`;
  const text = `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${count}\n`;
  return await writer.write('commit', Buffer.from(text));
};
const tag = async (oid: string, type: string): Promise<string> =>
  await writer.write(
    'tag',
    Buffer.from(`object ${oid}\ntype ${type}\ntag t${count++}\ntagger a <> 1 +0000\n\n`),
  );

/** Makes an object of the push. */
async function push(made: Promise<string>): Promise<string> {
  const oid = await made;
  added.add(oid);
  return oid;
}

before(async () => {
  fixture = await StorageFixture.create();
  repository = fixture.init('x.git');
  writer = new ObjectWriter(repository, 'sha1');
  const [file, other] = [await blob(), await blob()];
  const inner = await treeOf({ fx: file });
  const tree = await treeOf({ da: inner, fb: file, fc: other });
  const main = await commit(tree, await commit(inner));
  const side = await commit(await treeOf({ fs: await blob() }));
  const stray = await commit(tree, main);
  const lacks = await treeOf({ fx: GONE });
  old = { file, other, inner, tree, main, side, stray, lacks };
  await writer.finish();
  gitOutput(repository.path, ['update-ref', 'refs/heads/main', main]);
  gitOutput(repository.path, ['update-ref', 'refs/heads/side', side]);
});
after(async () => {
  await writer[Symbol.asyncDispose]();
  await fixture[Symbol.asyncDispose]();
});

/** Returns the type that is proved, or the reason why there is no proof. */
async function prove(tip: string, context: Partial<ProofContext> = {}): Promise<string> {
  await writer.finish();
  const { objects } = repository;
  const given = {
    repository,
    objects,
    newOids: added,
    oldOid: old.main,
    head: undefined,
    signal,
    ...context,
  };
  return await proveConnected(tip, given).catch((error: unknown) => String(error).replace(/^\w+: /, ''));
}

/** Reports whether git finds everything that a value leads to. */
function isComplete(tip: string): boolean {
  const args = ['rev-list', '--objects', '--quiet', tip, '--not', '--all'];
  return runSync('git', args, { cwd: repository.path }).code === 0;
}

const newCommit = async (entries: Entries, ...parents: string[]): Promise<string> =>
  await push(commit(await push(treeOf(entries)), ...parents));

/** Values with nothing missing, whose proof needs no git. */
const PROVED: Readonly<Record<string, () => Promise<string>>> = {
  'the old value': async () => old.main,
  'a commit before it': async () => gitOutput(repository.path, ['rev-parse', 'main^']),
  'a new commit': async () => await newCommit({ fb: await push(blob()) }, old.main),
  'a new root': async () => await newCommit({ fb: await push(blob()) }),
  'a commit without files': async () => await push(commit(EMPTY_TREE.sha1, old.main)),
  'a commit after one without files': async () =>
    await newCommit({ fb: old.file }, await push(commit(EMPTY_TREE.sha1, old.main))),
  'a file that moves': async () => await newCommit({ fz: old.file, da: old.inner }, old.main),
  'a directory that moves': async () => await newCommit({ dz: old.inner, fb: old.file }, old.main),
  'an old tree with files of other names': async () => await push(commit(old.inner, old.main)),
  'a directory in the place of a file': async () =>
    await newCommit({ da: await push(treeOf({ fb: await push(blob()) })), dfb: old.inner }, old.main),
  'a directory that equals its parent': async () =>
    await newCommit({ da: await push(treeOf({ da: old.inner, fx: old.file })) }, old.main),
  'a submodule': async () => await newCommit({ fb: old.file, sub: GONE }, old.main),
  'a merge of two new commits': async () => {
    const one = await newCommit({ f1: await push(blob()), da: old.inner }, old.main);
    const two = await newCommit({ f2: await push(blob()), fc: old.other }, old.main);
    return await newCommit({ da: old.inner, fc: old.other, f1: old.file }, one, two);
  },
  'the same commit twice': async () => {
    const base = await newCommit({ f1: await push(blob()) }, old.main);
    return await newCommit({ f2: await push(blob()) }, base, base);
  },
};

for (const objectFormat of ['sha1', 'sha256'] as const)
  test(`what is proved connected is so for git, ${objectFormat} (SEED=${SEED})`, async () => {
    await using fixture = await StorageFixture.create();
    const repository = fixture.init('x.git', { objectFormat });
    await using writer = new ObjectWriter(repository, objectFormat);
    const random = seededRandom(SEED);
    const below = (limit: number): number => Math.floor(random() * limit);
    const pick = <T>(items: readonly T[]): T => {
      const item = items[below(items.length)];
      assert.ok(item !== undefined);
      return item;
    };
    let count = 0;
    const blob = async (): Promise<string> => await writer.write('blob', Buffer.from(`${count++}`));
    const treeOf = async (entries: Readonly<Record<string, Entry>>): Promise<string> =>
      await writer.writeTree(
        Object.entries(entries).map(([name, entry]) => ({ ...entry, name: Buffer.from(name) })),
      );
    const commit = async (tree: string, ...parents: string[]): Promise<string> => {
      const lines = parents.map((oid) => `parent ${oid}\n`).join('');
      const person = `a <> ${1_700_000_000 + count++} +0000`;
      const text = `tree ${tree}\n${lines}author ${person}\ncommitter ${person}\n\n${count}\n`;
      return await writer.write('commit', Buffer.from(text));
    };
    const file = (oid: string): Entry => ({ mode: FILE, oid });
    const directory = (oid: string): Entry => ({ mode: DIRECTORY, oid });
    const gone = (digit: string): string => digit.repeat(objectFormat === 'sha1' ? 40 : 64);

    // The repository has a history, and objects that nothing refers to; some of these lack others.
    const deep = await treeOf({ x: file(await blob()), y: file(await blob()) });
    const inner = await treeOf({ d: directory(deep), f: file(await blob()) });
    const root = await commit(await treeOf({ a: file(await blob()), e: directory(inner) }));
    const main = await commit(
      await treeOf({ a: file(await blob()), b: directory(deep), e: directory(inner) }),
      root,
    );
    const lacksFile = await treeOf({ d: directory(deep), f: file(gone('1')) });
    const lacksTree = await treeOf({ d: directory(gone('2')), f: file(await blob()) });
    const nested = await treeOf({ d: directory(lacksFile) });
    const loose = await treeOf({
      d: directory(deep),
      f: file(await blob()),
      s: { mode: 0o160000, oid: gone('4') },
    });
    const stray = await commit(loose, main);
    const broken = await commit(nested, main);
    const orphan = await commit(loose, gone('3'));
    await writer.finish();
    gitOutput(repository.path, ['update-ref', 'refs/heads/main', main]);
    const entries = [deep, inner, lacksFile, lacksTree, nested, loose].map(directory);

    const pushes: { readonly tip: string; readonly newOids: ReadonlySet<string> }[] = [];
    while (pushes.length < PUSHES) {
      const newOids = new Set<string>();
      const added = (oid: string): string => {
        newOids.add(oid);
        return oid;
      };
      const newTree = async (levels: number): Promise<string> => {
        const made: Record<string, Entry> = { n: file(added(await blob())) };
        if (below(2) === 0) made.b = directory(deep);
        if (below(2) === 0) made.e = directory(inner);
        for (const name of ['a', 'b', 'd', 'e', 'f'])
          if (levels > 0 && below(5) === 0) made[name] = directory(await newTree(levels - 1));
          else if (below(14) === 0) made[name] = pick(entries);
        return added(await treeOf(made));
      };
      let tip = pick([...Array<string>(9).fill(main), root, stray, broken, orphan]);
      for (let commits = 1 + below(2); commits > 0; commits--) {
        const tree = below(8) === 0 ? pick(entries).oid : await newTree(2);
        tip = added(await commit(tree, tip, ...(below(5) === 0 ? [pick([root, stray])] : [])));
      }
      pushes.push({ tip, newOids });
    }
    await writer.finish();

    let proved = 0;
    for (const { tip, newOids } of pushes) {
      const { objects } = repository;
      const context = { repository, objects, newOids, oldOid: main, head: undefined, signal };
      const proof = await proveConnected(tip, context).catch((error: unknown) => {
        if (!(error instanceof FallBackToGit)) throw error;
      });

      if (proof === undefined) continue;
      proved++;
      const args = ['rev-list', '--objects', '--quiet', tip, '--not', '--all'];
      const { code, stderr } = runSync('git', args, { cwd: repository.path });
      assert.equal(code, 0, `${tip} of ${[...newOids]}: ${stderr}`);
    }
    // On average four tenths.
    assert.ok(proved > PUSHES / 30 && proved < PUSHES * 0.8, `${proved} of ${PUSHES}`);
  });

for (const [what, make] of Object.entries(PROVED))
  test(`${what} is proved`, async () => {
    added = new Set();

    const tip = await make();

    assert.equal(await prove(tip), 'commit');
    assert.equal(isComplete(tip), true);
  });

/** Values with something missing. */
const INCOMPLETE: Readonly<Record<string, () => Promise<string>>> = {
  'a parent': async () => await newCommit({ fb: old.file }, GONE),
  'a directory': async () => await newCommit({ da: GONE, fb: old.file }, old.main),
  'a file of an old tree': async () => await push(commit(old.lacks, old.main)),
  'a file of an old directory': async () => await newCommit({ da: old.lacks }, old.main),
  'a file of an old directory at the end': async () =>
    await newCommit({ da: old.inner, dz: old.lacks }, old.main),
  'a file of a parent': async () =>
    await newCommit({ fb: old.file }, await push(commit(await push(treeOf({ dl: old.lacks })), old.main))),
};

for (const [what, make] of Object.entries(INCOMPLETE))
  test(`${what} that is missing is noticed`, async () => {
    added = new Set();

    const tip = await make();

    assert.notEqual(await prove(tip), 'commit');
    assert.equal(isComplete(tip), false);
  });

test('git has looked for the files of new trees', async () => {
  added = new Set();

  assert.equal(await prove(await newCommit({ fx: GONE }, old.main)), 'commit');
});

test('a commit counts as reachable from the old value and the default branch only', async () => {
  added = new Set();
  const reached = (tip: string, oldOid: string, head: string | undefined): Promise<string> =>
    prove(tip, { oldOid, head });

  assert.equal(await reached(old.side, ZERO_OID, 'refs/heads/side'), 'commit');
  assert.equal(await reached(old.side, old.main, 'refs/heads/side'), 'commit');
  assert.equal(await reached(old.side, old.side, undefined), 'commit');
  for (const [oldOid, head] of [
    [old.main, undefined],
    [ZERO_OID, undefined],
    [old.main, 'refs/heads/main'],
    [ZERO_OID, 'refs/heads/missing'],
  ] as const)
    assert.match(await reached(old.side, oldOid, head), NOT_REACHABLE);
  assert.match(await prove(old.stray), NOT_REACHABLE);
});

test('new tags lead to a commit, others are left to git', async () => {
  added = new Set();
  const commitOid = await newCommit({ fb: await push(blob()) }, old.main);
  const ofCommit = await push(tag(commitOid, 'commit'));

  assert.equal(await prove(ofCommit), 'tag');
  assert.equal(await prove(await push(tag(ofCommit, 'tag'))), 'tag');
  assert.equal(await prove(await push(tag(old.main, 'commit'))), 'tag');
  assert.match(await prove(await push(tag(old.side, 'commit'))), NOT_REACHABLE);
  assert.notEqual(await prove(await push(tag(old.tree, 'commit'))), 'tag');
  for (const [oid, type] of [
    [old.tree, 'tree'],
    [old.file, 'blob'],
  ] as const)
    assert.match(await prove(await push(tag(oid, type))), UNUSUAL);
  assert.match(await prove(await tag(old.main, 'commit')), UNUSUAL);
  assert.match(await prove(old.tree), UNUSUAL);
  assert.match(await prove(await push(commit(old.file, old.main))), UNUSUAL);
});

test('a push with more than 500 trees is left to git', async () => {
  const nested = async (levels: number): Promise<string> => {
    added = new Set();
    let oid = await push(treeOf({ fx: await push(blob()) }));
    for (let level = 1; level < levels; level++) oid = await push(treeOf({ dx: oid }));
    return await prove(await push(commit(oid)));
  };

  assert.equal(await nested(500), 'commit');
  assert.equal(await nested(501), 'the push has many trees');
});
