import assert from 'node:assert/strict';
import { test } from 'node:test';
import { referenceBackends } from '#testkit/repositories/init-repository';
import { StorageFixture } from '#testkit/repositories/storage-fixture';
import type { BackedUpReference } from './reference-lines.ts';
import { applyChanges, compareReferences } from './reset-references.ts';

const { signal } = new AbortController();

for (const referenceBackend of referenceBackends())
  for (const order of ['of names', 'reversed'])
    test(`references become those of a list, order ${order}: ${referenceBackend}`, async () => {
      await using fixture = await StorageFixture.create();
      const repository = fixture.init('x.git', { commits: 2, referenceBackend });
      const git = (...args: string[]): string => fixture.runGit(repository.path, args);
      const [old, new_] = [git('rev-parse', 'main~1'), git('rev-parse', 'main')];
      for (const name of ['a/same', 'a/moved', 'a-gone', 'z/gone']) git('update-ref', `refs/${name}`, old);
      const names = ['refs/0', 'refs/a-b', 'refs/a/moved', 'refs/a/new', 'refs/a/same', 'refs/zz'];
      const lines = names.map((name) => `${name.endsWith('same') ? old : new_} ${name}`);
      const wanted = [`${new_} HEAD`, ...lines].map((line): BackedUpReference => {
        const [oid = '', name = ''] = line.split(' ');
        return { oid, name: Buffer.from(name) };
      });
      // Of two with one name, the last counts.
      const unordered = [{ oid: old, name: Buffer.from('refs/0') }, ...wanted.toReversed()];

      const listed = order === 'reversed' ? unordered : wanted;
      const changes = await compareReferences(repository, listed, signal);
      assert.deepEqual(changes.removed.map(String), ['refs/a-gone', 'refs/heads/main', 'refs/z/gone']);
      assert.deepEqual(
        changes.changed.map(({ name }) => String(name)),
        names.filter((name) => !name.endsWith('same')),
      );
      await applyChanges(repository, changes, { hooks: undefined, signal });

      assert.equal(git('show-ref'), lines.join('\n'));
      assert.deepEqual(await compareReferences(repository, listed, signal), { removed: [], changed: [] });
    });

/** The restore of a backup with as many blocked the event loop. */
const MANY = 400_000;
/** A slice is 5 ms; the rest is for the garbage collector. A table of the names took 261 ms. */
const LIMIT_MS = 60;

/** Returns the longest CPU time between two iterations of the event loop. */
async function longestBlock(work: () => Promise<unknown>): Promise<number> {
  let before = process.threadCpuUsage();
  let longestMs = 0;
  let isOver = false;
  const look = (): void => {
    const { system, user } = process.threadCpuUsage(before);
    longestMs = Math.max(longestMs, (system + user) / 1000);
    before = process.threadCpuUsage();
    if (!isOver) setImmediate(look);
  };
  look();
  await work();
  isOver = true;
  look();
  return longestMs;
}

test('comparing very many references does not block the event loop', async (t) => {
  await using fixture = await StorageFixture.create();
  const repository = fixture.init('x.git');
  const names = Buffer.from(Array.from({ length: MANY }, (_, index) => `refs/x/${index + MANY}`).join(''));
  const bytes = names.length / MANY;
  const wanted = Array.from({ length: MANY }, (_, index) => ({
    oid: 'ab'.repeat(20),
    name: names.subarray(index * bytes, (index + 1) * bytes),
  }));
  const blocks: number[] = [];
  // Garbage of the tests before it may be collected meanwhile.
  for (let attempt = 0; attempt < 8 && !(Math.min(...blocks) < LIMIT_MS); attempt++)
    blocks.push(
      await longestBlock(async () => {
        const { changed } = await compareReferences(repository, wanted, signal);
        assert.equal(changed.length, MANY);
      }),
    );

  t.diagnostic(blocks.map(Math.round).join(', '));
  assert.ok(Math.min(...blocks) < LIMIT_MS, `${blocks}`);
});
