import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
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

// A user saw: after a was renamed to b, and c to a, the backup had no c.
test('repositories that are renamed in a chain during a backup are each in it', async () => {
  await using gitaly = await startGitaly();
  const path = (name: string): string => join(gitaly.storagePath(), name);
  const tips = new Map<string, string>();
  for (const [count, name] of ['a.git', 'b.git', 'c.git'].entries()) {
    if (name === 'b.git') continue;
    initRepository(path(name), { commits: count + 1 });
    tips.set(name, gitOutput(path(name), ['rev-parse', 'main']));
  }
  const store = new MemoryObjectStore();
  const move = (): void => {
    renameSync(path('a.git'), path('b.git'));
    renameSync(path('c.git'), path('a.git'));
  };
  const found: number[] = [];

  await backUpStorage({
    ...{ connection: gitaly.connection, storageName: 'default', store, id: 'one', incremental: false },
    ...{ parallel: 1, signal },
    listener: {
      onFound: (repositories) => found.push(repositories),
      onStart: ({ relativePath }) => void (relativePath === 'c.git' && move()),
      onEnd: () => {},
    },
  });

  assert.deepEqual(found, [2, 4]);
  for (const [relativePath, before] of [
    ['a.git', 'c.git'],
    ['b.git', 'a.git'],
  ] as const) {
    const { steps } = await findManifest(store, { storageName: 'default', relativePath }, 'one', { signal });
    const lines = Buffer.concat(await Array.fromAsync(store.get(steps.at(-1)?.refPath ?? '', { signal })));
    assert.ok(lines.includes(`${tips.get(before)} refs/heads/main`), `${relativePath}: ${lines}`);
  }
});
