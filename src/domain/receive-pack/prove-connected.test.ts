import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FallBackToGit } from '#git/command/in-process';
import { ObjectWriter } from '#git/objects/write/write-objects';
import { gitOutput } from '#testkit/repositories/init-repository';
import { seededRandom } from '#testkit/repositories/random-history';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import { runSync } from '#testkit/run-program-sync';
import { testSeed } from '#testkit/test-seed';
import { proveConnected } from './prove-connected.ts';

const SEED = testSeed();
const PUSHES = 80;
const { signal } = new AbortController();

interface Entry {
  readonly mode: number;
  readonly oid: string;
}

const FILE = 0o100644;
const DIRECTORY = 0o040000;

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
