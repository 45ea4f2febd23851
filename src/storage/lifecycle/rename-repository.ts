import { rename, stat } from 'node:fs/promises';
import path from 'node:path';
import { syncPath } from '#base/files/sync-path';
import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { lockForCall } from '../locks/repository-lock.ts';
import type { Repository } from '../repository.ts';
import type { RepositoryLocation } from '../repository-target.ts';
import type { Storages } from '../storages.ts';
import { makeDirectories } from './make-directories.ts';
import { prepareAlternates } from './moved-alternates.ts';
import { requireOutside } from './require-outside.ts';

/**
 * Moves a repository to another path of its storage: it is complete at either path, whenever the
 * process dies.
 *
 * @throws {GitalyError} ALREADY_EXISTS when there is anything at the target; INVALID_ARGUMENT when
 *   it is among the files of another repository; FAILED_PRECONDITION when another call creates or
 *   removes one of the two.
 */
export async function renameRepository(
  storages: Storages,
  source: Repository,
  target: RepositoryLocation,
): Promise<void> {
  await requireAbsent(target.path);
  requireOutside(target);
  const parent = path.posix.dirname(target.path);
  await makeDirectories(source.storage, parent);

  // Always in the same order, so that two calls in opposite directions do not both fail.
  const [first = '', second = ''] = [source.path, target.path].sort();
  await using _first = await lockForCall(source.storage, first, 'locking repository');
  await using _second = await lockForCall(source.storage, second, 'locking repository');
  await requireAbsent(target.path);
  const change = { kind: 'renamed', location: target, previousPath: source.relativePath } as const;
  const alternates = await prepareAlternates({ from: source.path, to: target.path });
  try {
    await storages.recordWhile(change, () =>
      rename(source.path, target.path).catch(wrapped('rename repository')),
    );
  } catch (error) {
    await alternates?.failed();
    throw error;
  }
  await alternates?.done();
  source.caches.forget(source);
  for (const moved of [source, target]) storages.noteMove(moved);
  storages.repositoryCounts.add(source, -1);
  storages.repositoryCounts.add(target, 1);
  await storages.borrowers.note(target);
  await syncPath(parent);
  await syncPath(path.posix.dirname(source.path));
}

async function requireAbsent(repositoryPath: string): Promise<void> {
  try {
    await stat(repositoryPath);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return;
    throw wrap(error, 'checking target');
  }
  throw new GitalyError('ALREADY_EXISTS', 'target repo exists already');
}
