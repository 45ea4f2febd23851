import { posix } from 'node:path';
import { wrapped } from '#base/gitaly-error';
import { alternateDirectory, readAlternates } from '#storage/alternates';
import { type RemoveRepositoryOptions, removeRepository } from '#storage/lifecycle/remove-repository';
import { replaceLocked } from '#storage/locks/locked-file';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { RecordedRuns } from '../housekeeping/maintenance-runs.ts';
import { adoptObjects } from './adopt-objects.ts';
import { excludeNewMembers } from './pool-membership.ts';
import { backUpAlternates } from './retire-alternates.ts';

const FILE_MODE = 0o644;

export interface DeletePoolOptions extends RemoveRepositoryOptions {
  readonly maintenance: RecordedRuns;
  readonly signal: AbortSignal;
}

/**
 * Deletes a pool. Repositories that still borrow from it get its objects first; Gitaly leaves them
 * without. GitLab deletes a pool when it knows of no member, which may be wrong.
 *
 * A process that dies leaves a pool as any other, with fewer members.
 *
 * @throws {GitalyError} `remove: …`, as {@link removeRepository}; as {@link excludeNewMembers}.
 */
export async function deletePool(
  storages: Storages,
  pool: Repository,
  { maintenance, signal, ...options }: DeletePoolOptions,
): Promise<void> {
  using _run = await maintenance.takeOver(pool, signal);
  // This may take minutes, in which others may join: the exclusion would let them wait.
  await releaseMembers(storages, pool, { maintenance, signal });
  await using _exclusion = await excludeNewMembers(pool, signal);
  await releaseMembers(storages, pool, { maintenance, signal });
  signal.throwIfAborted();
  await removeRepository(storages, pool, options).catch(wrapped('remove'));
}

async function releaseMembers(
  storages: Storages,
  pool: Repository,
  { maintenance, signal }: Pick<DeletePoolOptions, 'maintenance' | 'signal'>,
): Promise<void> {
  const { direct, behind } = await membersOf(storages, pool, signal);
  // A member drops objects that only repositories behind it need: those get their copies first.
  for (const member of behind) {
    using _other = await maintenance.takeOver(member, signal);
    await adoptObjects(pool.objectDirectory, member.objectDirectory, signal);
  }
  for (const member of direct) {
    using _other = await maintenance.takeOver(member, signal);
    await release(member, pool, signal);
  }
}

/** Returns the repositories that borrow from a pool, and those that borrow from them. */
async function membersOf(
  storages: Storages,
  pool: Repository,
  signal: AbortSignal,
): Promise<{ readonly direct: readonly Repository[]; readonly behind: readonly Repository[] }> {
  const borrowers = await storages.borrowers.find(storages.all, signal);
  const byLender = Map.groupBy(
    borrowers.flatMap(({ location, directories }) => directories.map((lender) => ({ lender, location }))),
    ({ lender }) => lender,
  );
  const seen = new Set([`${pool.path}/objects`]);
  const below = (lenders: readonly string[]): Repository[] => {
    const found = lenders.flatMap((lender) => byLender.get(lender) ?? []).map(({ location }) => location);
    const others = found.filter(({ path }) => !seen.has(`${path}/objects`));
    for (const { path } of others) seen.add(`${path}/objects`);
    return others.map((location) => storages.repositoryAt(location));
  };
  const direct = below([`${pool.path}/objects`]);
  const behind: Repository[] = [];
  for (let level = direct; level.length > 0; ) {
    level = below(level.map(({ path }) => `${path}/objects`));
    behind.push(...level);
  }
  return { direct, behind };
}

/**
 * Gives a member the pool's objects, and puts the alternates of the pool, if it has some, in place
 * of the pool.
 */
async function release(member: Repository, pool: Repository, signal: AbortSignal): Promise<void> {
  const adopt = () => adoptObjects(pool.objectDirectory, member.objectDirectory, signal);
  await adopt();
  const others = await withoutPool(pool, member.path);
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

/** Returns the lines of a member's alternates without the pool; `undefined` if it has none of it. */
async function withoutPool(pool: Repository, path: string): Promise<string[] | undefined> {
  const lines = (await readAlternates(path))?.objectDirectories ?? [];
  const isPool = (line: string): boolean => alternateDirectory(path, line) === `${pool.path}/objects`;
  if (!lines.some(isPool)) return undefined;
  const ofPool = (await readAlternates(pool.path))?.objectDirectories ?? [];
  const inherited = ofPool
    .map((line) => posix.relative(`${path}/objects`, alternateDirectory(pool.path, line)))
    .filter((line) => line !== '');
  return [...new Set([...lines.filter((line) => !isPool(line)), ...inherited])];
}
