import { setTimeout as delay } from 'node:timers/promises';
import { GitalyError, invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { LockTakenError, lockRepository } from '#storage/locks/repository-lock';
import { isPoolPath } from '#storage/pool-path';
import type { Repository } from '#storage/repository';
import type { RepositoryLocation } from '#storage/repository-target';
import { writeMarker } from './due-index.ts';
import { earliest, type Lifetimes, readLifetimes, writeLifetimes } from './lifetime-file.ts';

/** Limit of references with an end in one repository: their file is written as a whole. */
const MAX_REFERENCES = 10_000;
const LOCK_PAUSE_MS = 20;
const LOCK_ATTEMPTS = 250;
const REFS = Buffer.from('refs/');

export interface LifetimeChange {
  /** Full name; `undefined`: the repository. */
  readonly reference: Buffer | undefined;
  /** Milliseconds since 1970; `undefined` removes the end. */
  readonly expiresMs: number | undefined;
  readonly signal: AbortSignal;
}

/**
 * Sets when a repository or one of its references ends. It is on disk when this resolves.
 *
 * @throws {GitalyError} INVALID_ARGUMENT for a pool or a name that is not below `refs/`; NOT_FOUND
 *   without the reference; RESOURCE_EXHAUSTED beyond 10,000 references; ABORTED when other calls
 *   hold the lock of the repository.
 */
export async function setLifetime(
  repository: Repository,
  { reference, expiresMs, signal }: LifetimeChange,
): Promise<void> {
  if (isPoolPath(repository.relativePath)) throw invalidArgument('object pools have no lifetime');
  if (reference !== undefined && expiresMs !== undefined) await requireReference(repository, reference);
  await changeLifetimes(repository, signal, async ({ repositoryMs, referencesMs }) => {
    // Under the lock: a sweep that finds the marker first, and no end, would remove it.
    if (expiresMs !== undefined) await writeMarker(repository, expiresMs);
    if (reference === undefined) return { repositoryMs: expiresMs, referencesMs };
    const changed = new Map(referencesMs);
    const name = reference.toString('latin1');
    if (expiresMs === undefined) changed.delete(name);
    else changed.set(name, expiresMs);
    if (changed.size > MAX_REFERENCES)
      throw new GitalyError('RESOURCE_EXHAUSTED', `more than ${MAX_REFERENCES} references have a lifetime`);
    return { repositoryMs, referencesMs: changed };
  });
}

/** Reads and replaces the ends of a repository, while no other call does. @returns the new ones. */
export async function changeLifetimes(
  repository: Repository,
  signal: AbortSignal,
  change: (lifetimes: Lifetimes) => Lifetimes | Promise<Lifetimes>,
): Promise<Lifetimes> {
  await using _lock = await lock(repository, signal);
  const changed = await change(await readLifetimes(repository.path));
  await writeLifetimes(repository.path, changed);
  return changed;
}

/** A repository is about to be moved: its ends are registered at the new path, too. */
export async function markMove(source: Repository, target: RepositoryLocation): Promise<void> {
  const firstMs = earliest(await readLifetimes(source.path));
  if (firstMs !== undefined) await writeMarker(target, firstMs);
}

async function requireReference(repository: Repository, name: Buffer): Promise<void> {
  if (!name.subarray(0, REFS.length).equals(REFS))
    throw invalidArgument('reference: not a full name below refs/');
  const found = await repository.refs.read(name).catch(wrapped('reading the reference', 'INVALID_ARGUMENT'));
  if (found === undefined) throw new GitalyError('NOT_FOUND', 'reference not found');
}

async function lock({ storage, path }: Repository, signal: AbortSignal): Promise<AsyncDisposable> {
  for (let attempt = 1; ; attempt++)
    try {
      return await lockRepository(storage, path);
    } catch (error) {
      if (!(error instanceof LockTakenError)) throw error;
      if (attempt === LOCK_ATTEMPTS) throw wrap(error, 'locking the repository', 'ABORTED');
      await delay(LOCK_PAUSE_MS, undefined, { signal });
    }
}
