import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { archiveDirectory } from '#archive/publish/archive-directory';
import type { ArchivedServer } from './archived-server.ts';
import { repositoriesIn } from './random-changes.ts';
import { type RepositoryState, stateOf } from './repository-state.ts';

const { signal } = new AbortController();

/** Returns the states of the repositories of a storage, by path. */
export function statesIn(storage: string): Map<string, RepositoryState> {
  return new Map(repositoriesIn(storage).map((path) => [path, stateOf(join(storage, path))]));
}

/** Number of repositories that were restored to be compared. */
let compared = 0;

/** Checks that the archive has all that the disk has. */
export async function checkEqual({ archive, connection, storage }: ArchivedServer): Promise<void> {
  await archive.settle('default');
  for (const path of repositoriesIn(storage)) {
    // Each has a path of its own: the archive follows the copy, too, also while it is replaced.
    const to = `compared/${compared++}.git`;
    await archive.restore({ storage: 'default', path }, { to, signal }).catch((error: unknown) => {
      throw new Error(`${path} is not restored`, { cause: error });
    });
    assert.deepEqual(stateOf(join(storage, to)), stateOf(join(storage, path)), path);
    await connection.repository.removeRepository({
      repository: { storageName: 'default', relativePath: to },
    });
  }
  assert.deepEqual(archive.status('default')[0]?.failed, []);
}

/** Reads the whole bucket back, and checks that it has no problem. @returns the number of repositories. */
export async function checkWhole({ archive }: ArchivedServer): Promise<number> {
  const results = await Array.fromAsync(archive.verify('default', { isFull: true, signal }));
  for (const { isChecked, path, problems } of results)
    assert.deepEqual({ path, isChecked, problems }, { path, isChecked: true, problems: [] });
  return results.length;
}

/** Restores all repositories to an empty storage. */
export async function restoreAll({ archive }: ArchivedServer): Promise<void> {
  await archive.settle('default');
  const results = await Array.fromAsync(archive.restoreStorage('default', { signal }));
  assert.deepEqual(
    results.filter(({ result }) => result !== 'restored'),
    [],
  );
}

/** Removes all of a storage but the name of the server's lease, which would be waited for otherwise. */
export function loseDisk(storage: string, url: string): void {
  const own = archiveDirectory({ path: storage }, url);
  const holder = readFileSync(join(own, 'holder'));
  rmSync(storage, { recursive: true, force: true });
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'holder'), holder);
}
