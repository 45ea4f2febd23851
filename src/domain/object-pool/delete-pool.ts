import { wrap } from '#base/gitaly-error';
import { alternateDirectory, readAlternates } from '#storage/alternates';
import { type RemoveRepositoryOptions, removeRepository } from '#storage/lifecycle/remove-repository';
import { replaceLocked } from '#storage/locks/locked-file';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import { walkRepositories } from '#storage/walk-repositories';
import type { MaintenanceRuns } from '../housekeeping/maintenance-runs.ts';
import { adoptObjects } from './adopt-objects.ts';
import { backUpAlternates } from './retire-alternates.ts';

const FILE_MODE = 0o644;

export interface DeletePoolOptions extends RemoveRepositoryOptions {
  readonly maintenance: MaintenanceRuns;
  readonly signal: AbortSignal;
}

/**
 * Deletes a pool. Repositories that still borrow from it get its objects first; Gitaly leaves them
 * without. GitLab deletes a pool when it knows of no member, which may be wrong.
 *
 * @throws {GitalyError} `remove: …`, as {@link removeRepository}.
 */
export async function deletePool(
  storages: Storages,
  pool: Repository,
  { maintenance, signal, ...options }: DeletePoolOptions,
): Promise<void> {
  using _run = await maintenance.takeOver(pool, signal);
  for await (const member of membersOf(storages, pool, signal)) {
    using _other = await maintenance.takeOver(member, signal);
    await release(member, pool, signal);
  }
  signal.throwIfAborted();
  await removeRepository(storages, pool, options).catch((error: unknown) => {
    throw wrap(error, 'remove');
  });
}

/** Yields the repositories that borrow from a pool, by a walk over all storages. */
async function* membersOf(
  storages: Storages,
  pool: Repository,
  signal: AbortSignal,
): AsyncGenerator<Repository> {
  for (const storage of storages.all) {
    for await (const { relativePath, path } of walkRepositories(storage, { signal })) {
      if (path === pool.path) continue;
      if ((await othersThan(pool, path)) !== undefined)
        yield storages.repositoryAt({ storage, relativePath, path });
    }
  }
}

/** Gives a member the pool's objects and removes the pool from its alternates. */
async function release(member: Repository, pool: Repository, signal: AbortSignal): Promise<void> {
  const adopt = () => adoptObjects(pool.objectDirectory, member.objectDirectory, signal);
  await adopt();
  const others = await othersThan(pool, member.path);
  if (others === undefined) return;
  const backup = await backUpAlternates(member);
  if (others.length === 0) {
    await backup.retire();
  } else {
    const content = Buffer.from(others.map((line) => `${line}\n`).join(''));
    await replaceLocked(`${member.path}/objects/info/alternates`, content, { mode: FILE_MODE });
  }
  await adopt();
}

/** Returns the alternates of a repository without the pool; `undefined` if it is none of them. */
async function othersThan(pool: Repository, path: string): Promise<string[] | undefined> {
  // A file that cannot be read names none for git either.
  const lines = (await readAlternates(path).catch(() => undefined))?.objectDirectories ?? [];
  const others = lines.filter((line) => alternateDirectory(path, line) !== `${pool.path}/objects`);
  return others.length === lines.length ? undefined : others;
}
