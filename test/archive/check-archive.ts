import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Archive } from '#archive/archive';
import { archiveDirectory } from '#archive/publish/archive-directory';
import { repositoriesIn } from './random-changes.ts';
import { type RepositoryState, stateOf } from './repository-state.ts';

/** An archive, and the directory of its storage `default`. */
interface ArchivedStorage {
  readonly archive: Archive;
  readonly storage: string;
}

const { signal } = new AbortController();

/** Returns the states of the repositories of a storage, by path. */
export function statesIn(storage: string): Map<string, RepositoryState> {
  return new Map(repositoriesIn(storage).map((path) => [path, stateOf(join(storage, path))]));
}

/** Checks that the archive has all that the disk has. */
export async function checkEqual({ archive, storage }: ArchivedStorage): Promise<void> {
  await archive.settle('default');
  for (const path of repositoriesIn(storage)) {
    await archive.restore({ storage: 'default', path }, { to: 'compared.git', replaces: true, signal });
    assert.deepEqual(stateOf(join(storage, 'compared.git')), stateOf(join(storage, path)), path);
  }
  assert.deepEqual(archive.status('default')[0]?.failed, []);
}

/** Reads the whole bucket back, and checks that it has no problem. @returns the number of repositories. */
export async function checkWhole({ archive }: ArchivedStorage): Promise<number> {
  const results = await Array.fromAsync(archive.verify('default', { isFull: true, signal }));
  for (const { isChecked, path, problems } of results)
    assert.deepEqual({ path, isChecked, problems }, { path, isChecked: true, problems: [] });
  return results.length;
}

/** Restores all repositories to an empty storage. */
export async function restoreAll({ archive }: ArchivedStorage): Promise<void> {
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
