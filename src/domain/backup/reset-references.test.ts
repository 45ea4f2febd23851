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
