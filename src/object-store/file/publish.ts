import type { BigIntStats } from 'node:fs';
import { link, rename, rm, stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { systemErrorCode } from '#base/go/system-error';
import type { PutOptions } from '../object-store.ts';
import { PreconditionError } from '../store-error.ts';
import { lockObject } from './lock-object.ts';

export interface FilePublication {
  readonly key: string;
  /** A complete file in the same directory. */
  readonly temporary: string;
  readonly target: string;
}

/**
 * Makes a complete file visible under the name of its object.
 *
 * A condition on the version holds against other conditional writers, in other processes too. A
 * writer without a condition, or with `absent`, does not wait for them.
 *
 * @throws {PreconditionError} if `onlyIf` does not hold.
 */
export async function publish(publication: FilePublication, { onlyIf, signal }: PutOptions): Promise<void> {
  const { temporary, target } = publication;
  signal.throwIfAborted();
  if (onlyIf === undefined) return await rename(temporary, target);
  if (onlyIf === 'absent') return await linkNew(publication);
  await using _lock = await lockObject(target, signal);
  await requireVersion(publication, onlyIf.version);
  await rename(temporary, target);
}

/** Deletes the file of an object that has a version. @throws {PreconditionError} */
export async function removeVersion(
  { key, target, version }: { readonly key: string; readonly target: string; readonly version: string },
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  if ((await stat(target).catch(ignoreMissing)) === undefined)
    throw new PreconditionError(key, { reason: 'missing' });
  await using _lock = await lockObject(target, signal);
  await requireVersion({ key, target }, version);
  await rm(target);
}

async function requireVersion(
  { key, target }: { readonly key: string; readonly target: string },
  version: string,
): Promise<void> {
  const stats = await stat(target, { bigint: true }).catch(ignoreMissing);
  if (stats === undefined) throw new PreconditionError(key, { reason: 'missing' });
  if (versionOf(stats) !== version) throw new PreconditionError(key);
}

/** Returns the version of a file: it differs after the file was replaced. */
export function versionOf({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino}-${size}-${mtimeNs}`;
}

async function linkNew({ key, temporary, target }: FilePublication): Promise<void> {
  try {
    await link(temporary, target);
  } catch (error) {
    throw systemErrorCode(error) === 'EEXIST' ? new PreconditionError(key, { cause: error }) : error;
  }
}
