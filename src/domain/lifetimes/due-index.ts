import { createHash } from 'node:crypto';
import { opendir, readFile, rm, stat } from 'node:fs/promises';
import { ignoreMissing } from '#base/files/ignore-missing';
import { isLeftDraft, replaceFile } from '#base/files/replace-file';
import { makeDirectories } from '#storage/lifecycle/make-directories';
import type { RepositoryLocation, Storage } from '#storage/repository-target';
import { lifetimesRoot } from '#storage/storage-layout';

const SECOND_MS = 1000;
/** Seconds since 1970 with as many digits sort as text. */
const TIME_DIGITS = 12;
const HASH_DIGITS = 32;
const NAME = /^\d{12}-[0-9a-f]{32}$/;
/** Number of names that are read at once. */
const READ_AT_ONCE = 256;

/** A marker: a repository, or one of its references, ends at a certain time. */
export interface Marker {
  /** Name of its file. */
  readonly name: string;
  /** When it was written. */
  readonly writtenMs: number;
}

/**
 * Notes durably that a repository has to be looked at after a time. It is written before the time
 * is set, and one that is too early does no harm.
 */
export async function writeMarker(
  { storage, relativePath }: Pick<RepositoryLocation, 'storage' | 'relativePath'>,
  dueMs: number,
): Promise<string> {
  const root = lifetimesRoot(storage);
  await makeDirectories(storage, root);
  const hash = createHash('sha256').update(relativePath).digest('hex').slice(0, HASH_DIGITS);
  const name = `${String(Math.ceil(dueMs / SECOND_MS)).padStart(TIME_DIGITS, '0')}-${hash}`;
  await replaceFile(`${root}/${name}`, relativePath, { durable: true, removesLeft: false });
  return name;
}

/**
 * Yields the markers of a storage whose time has come, the earliest first. Removes drafts that a
 * killed server left behind.
 */
export async function* dueMarkers(storage: Storage, nowMs: number): AsyncGenerator<Marker> {
  const root = lifetimesRoot(storage);
  const now = String(Math.floor(nowMs / SECOND_MS)).padStart(TIME_DIGITS, '0');
  const due: string[] = [];
  // Read in pieces, because there may be a million markers of later times.
  for await (const { name } of (await opendir(root, { bufferSize: READ_AT_ONCE }).catch(ignoreMissing)) ?? [])
    if (name.slice(0, TIME_DIGITS) <= now) due.push(name);
  for (const name of due.sort()) {
    const path = `${root}/${name}`;
    const stats = await stat(path).catch(ignoreMissing);
    if (stats !== undefined && NAME.test(name)) yield { name, writtenMs: stats.mtimeMs };
    else if (await isLeftDraft(path)) await removeMarker(storage, name);
  }
}

/** Returns the repository of a marker; `undefined` if the marker is gone. @throws the system's error. */
export async function markedPath(storage: Storage, { name }: Marker): Promise<string | undefined> {
  return await readFile(`${lifetimesRoot(storage)}/${name}`, 'utf8').catch(ignoreMissing);
}

export async function removeMarker(storage: Storage, name: string): Promise<void> {
  await rm(`${lifetimesRoot(storage)}/${name}`, { force: true });
}
