import assert from 'node:assert/strict';
import { renameSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findManifest } from '#domain/backup/manifests';
import { MemoryObjectStore } from '#object-store/memory/memory-store';
import { gitOutput, initRepository } from '#testkit/repositories/init-repository';
import { startGitaly } from '#testkit/start-gitaly';
import { backUpStorage } from './back-up-storage.ts';

const { signal } = new AbortController();

// A user saw: a repository that was renamed during a complete backup was not in it.
test('a repository that is renamed or made during a backup is in it', async () => {
  await using gitaly = await startGitaly();
  const path = (name: string): string => join(gitaly.storagePath(), name);
  for (const name of ['a.git', 'b.git']) initRepository(path(name), { commits: 1 });
  const store = new MemoryObjectStore();
  const actions = new Map([
    ['a.git', () => initRepository(path('0.git'), { commits: 1 })],
    ['b.git', () => renameSync(path('b.git'), path('c.git'))],
    ['c.git', () => renameSync(path('c.git'), path('d.git'))],
  ]);
  const found: number[] = [];
  const ended: string[] = [];

  await backUpStorage({
    ...{ connection: gitaly.connection, storageName: 'default', store, id: 'one', incremental: false },
    ...{ parallel: 1, signal },
    listener: {
      onFound: (repositories) => found.push(repositories),
      onStart: ({ relativePath }) => actions.get(relativePath)?.(),
      onEnd: ({ relativePath }, { kind }) => ended.push(`${relativePath} ${kind}`),
    },
  });

  assert.deepEqual(found, [2, 4, 5]);
  assert.deepEqual(
    ended.sort(),
    ['0', 'a', 'b', 'c', 'd'].map((name) => `${name}.git done`),
  );
  for (const relativePath of ['0.git', 'a.git', 'd.git']) {
    const name = { storageName: 'default', relativePath };
    assert.equal((await findManifest(store, name, 'one', { signal })).nonExistent, false, relativePath);
  }
});

type Renames = readonly (readonly [from: string, to: string])[];

/**
 * Backs up some repositories, which are renamed while the last one is stored. Checks that the
 * backup has each at its last path.
 *
 * @param changed path whose repository changes after that.
 */
async function backUpWhile(names: readonly string[], renames: Renames, changed?: string): Promise<void> {
  await using gitaly = await startGitaly();
  const path = (name: string): string => join(gitaly.storagePath(), name);
  const tips = new Map<string, string>();
  for (const [count, name] of names.entries()) {
    initRepository(path(name), { commits: count + 1 });
    utimesSync(path(name), count, count);
    tips.set(name, gitOutput(path(name), ['rev-parse', 'main']));
  }
  const store = new MemoryObjectStore();
  const last = names.at(-1);
  let isMoved = false;
  const move = (): void => {
    isMoved = true;
    for (const [from, to] of renames) {
      renameSync(path(from), path(to));
      tips.set(to, tips.get(from) ?? '');
      tips.delete(from);
    }
    if (changed !== undefined) utimesSync(path(changed), names.length, names.length);
  };
  const found: number[] = [];

  await backUpStorage({
    ...{ connection: gitaly.connection, storageName: 'default', store, id: 'one', incremental: false },
    ...{ parallel: 1, signal },
    listener: {
      onFound: (repositories) => found.push(repositories),
      onStart: ({ relativePath }) => void (relativePath === last && !isMoved && move()),
      onEnd: () => {},
    },
  });

  assert.deepEqual(found, [names.length, names.length + 2]);
  for (const [relativePath, tip] of tips) {
    const { steps } = await findManifest(store, { storageName: 'default', relativePath }, 'one', { signal });
    const lines = Buffer.concat(await Array.fromAsync(store.get(steps.at(-1)?.refPath ?? '', { signal })));
    assert.ok(lines.includes(`${tip} refs/heads/main`), `${relativePath}: ${lines}`);
  }
}

// A user saw: after a was renamed to b, and c to a, the backup had no c.
test('repositories that are renamed in a chain during a backup are each in it', async () => {
  await backUpWhile(
    ['a.git', 'c.git'],
    [
      ['a.git', 'b.git'],
      ['c.git', 'a.git'],
    ],
  );
});

// Symptom: both were in the backup at their former paths.
for (const changed of [undefined, 'a.git'])
  test(`of repositories that are swapped, and ${changed ?? 'none'} changed, each is backed up`, async () => {
    await backUpWhile(
      ['a.git', 'b.git', 'c.git'],
      [
        ['a.git', 'x.git'],
        ['b.git', 'a.git'],
        ['x.git', 'b.git'],
      ],
      changed,
    );
  });
