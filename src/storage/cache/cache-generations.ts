import { randomUUID } from 'node:crypto';
import {
  existsSync,
  linkSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { replaceFile } from '#base/files/replace-file';
import { systemErrorCode } from '#base/go/system-error';
import { invariant } from '#base/invariant';
import { deadOwnerSuffix, ownerSuffix } from '#base/process-identity';
import { makeDirectories } from '../lifecycle/make-directories.ts';
import type { Storage } from '../repository-target.ts';
import { PENDING, stateRoot } from '../storage-layout.ts';

/**
 * Age above which a mark was left by a process that died: all marks of a process are as old as its
 * latest one. Until then, a git that survived the process may continue the change. The mark stays
 * for the removal of what the process left (leftovers/).
 */
export const PENDING_MAX_AGE_MS = 60 * 60 * 1000;

const FILE_MODE = 0o600;
const ID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** File to which the marks of this process are hard links. */
const OWN_MARK = `mark-${randomUUID()}`;

/** Limit of attempts: the cleaner may concurrently remove an empty directory this often. */
const MAX_ATTEMPTS = 3;

/** A repository whose responses are cached. `relativePath` is in normal form. */
export interface GenerationTarget {
  readonly storage: Storage;
  readonly relativePath: string;
}

/** A change in progress. End it exactly once, whether the change succeeded or not. */
export interface PendingChange {
  end(): Promise<void>;
}

/**
 * Returns the current generation of a repository: a random id that every change replaces. It is
 * stored in files, so that all Gitaly processes that share the storage (two during an upgrade) see
 * the same:
 *
 *     <state>/<relative path>/latest          the current id
 *     <state>/<relative path>/pending/<id>…   one file for each change under way, with its process
 *     <state>/mark-<id>                       what the marks of one process are links to
 *
 * These rules keep a cache from serving responses that a finished change has invalidated:
 * 1. A change creates its mark before it begins and removes `latest`.
 * 2. Nothing is cached while a mark exists: data read then may mix both states.
 * 3. At its end a change removes `latest` again and then its mark; the next reader creates a new
 *    one. In the opposite order, a reader between the two could find an id that another reader
 *    created during the change.
 *
 * @returns the id; `undefined` while a change is in progress and nothing may be cached.
 */
export async function currentGeneration(
  target: GenerationTarget,
  nowMs = Date.now(),
): Promise<string | undefined> {
  // Reading these small cached files takes some microseconds; using another thread takes ten times
  // that.
  if (changeIsPending(target, nowMs)) return undefined;
  try {
    const id = readFileSync(latestPath(target), 'utf8');
    if (ID.test(id)) return id;
    removeLatest(target); // the next call makes another one
    invariant(id === '', 'cache-generation', 'a generation is not as it was written');
    return await renew(target); // it was lost with a power failure
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    return await renew(target);
  }
}

/**
 * Marks the beginning of a change. Cached responses of the repository are not used from now on.
 */
export async function beginChange(target: GenerationTarget): Promise<PendingChange> {
  const mark = `${pendingDirectory(target)}/${randomUUID()}${ownerSuffix()}`;
  // Every change waits for this. The calls take some microseconds each, a trip to another thread
  // and back takes ten times that.
  await inDirectory(target.storage, pendingDirectory(target), () => putMark(target.storage, mark));
  removeLatest(target);
  return { end: async () => endChange(target, mark) };
}

/**
 * Leaves the mark of a change whose process has ended without removing its files, for their removal
 * (leftovers/).
 */
export async function leaveMark(target: GenerationTarget, pid: number): Promise<void> {
  const mark = `${pendingDirectory(target)}/${randomUUID()}${deadOwnerSuffix(pid)}`;
  await inDirectory(target.storage, pendingDirectory(target), () =>
    writeFileSync(mark, '', { flag: 'wx', mode: FILE_MODE }),
  );
  removeLatest(target);
}

/**
 * Creates a mark. A hard link is only a directory entry. A file for each change would take some
 * fifty times as long: when ext4 searches for a free inode, it skips those removed in the last
 * seconds.
 */
function putMark(storage: Storage, mark: string): void {
  const own = `${stateRoot(storage)}/${OWN_MARK}`;
  touch(own);
  try {
    linkSync(own, mark);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw error;
    // The file system has no hard links, or too many of them.
    writeFileSync(mark, '', { flag: 'wx', mode: FILE_MODE });
  }
}

function touch(file: string): void {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch {
    // It is not there; any other problem has the same effect here.
    writeFileSync(file, '', { mode: FILE_MODE });
  }
}

/** Ends a change whose mark is at that path. */
export function endChange(target: GenerationTarget, mark: string): void {
  removeLatest(target);
  removeFile(mark);
}

/**
 * Removes `latest`. Usually it does not exist, and checking costs a tenth of handling the error.
 */
function removeLatest(target: GenerationTarget): void {
  const file = latestPath(target);
  if (existsSync(file)) removeFile(file);
}

function removeFile(file: string): void {
  try {
    unlinkSync(file);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
  }
}

function changeIsPending(target: GenerationTarget, nowMs: number): boolean {
  let endsMs = 0;
  for (const name of namesIn(pendingDirectory(target))) {
    const stats = statSync(`${pendingDirectory(target)}/${name}`, { throwIfNoEntry: false });
    if (stats !== undefined) endsMs = Math.max(endsMs, stats.mtimeMs + PENDING_MAX_AGE_MS);
  }
  if (nowMs < endsMs) return true;
  if (endsMs > 0 && timeOf(latestPath(target)) < endsMs) removeLatest(target); // rule 3
  return false;
}

/** Returns the time of the last change of a file; that of a missing one is in the future. */
function timeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
}

/** Ids that are being created, by the directory of their repository. */
const RENEWALS = new Map<string, Promise<string>>();

/**
 * Creates an id. Callers at the same time get the same one, so that they can share a response.
 * Whatever is cached for an id is produced after this resolves, so it does not matter what has
 * changed since the first caller came.
 */
async function renew(target: GenerationTarget): Promise<string> {
  const directory = stateDirectory(target);
  const running = RENEWALS.get(directory);
  if (running !== undefined) return await running;
  const renewal = createLatest(target, directory).finally(() => RENEWALS.delete(directory));
  RENEWALS.set(directory, renewal);
  return await renewal;
}

async function createLatest(target: GenerationTarget, directory: string): Promise<string> {
  const id = randomUUID();
  // What killed processes left is removed with old generations (clean-caches.ts).
  await inDirectory(target.storage, directory, () =>
    replaceFile(latestPath(target), id, { durable: false, removesLeft: false }),
  );
  return id;
}

/**
 * Runs a function in a directory that may be missing, or disappear between its creation and its
 * use.
 */
async function inDirectory(
  storage: Storage,
  directory: string,
  run: () => Promise<void> | void,
): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await run();
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT' || attempt === MAX_ATTEMPTS) throw error;
      await makeDirectories(storage, directory);
    }
  }
}

function stateDirectory(target: GenerationTarget): string {
  return `${stateRoot(target.storage)}/${target.relativePath}`;
}

function latestPath(target: GenerationTarget): string {
  return `${stateDirectory(target)}/latest`;
}

/** Returns the directory with the marks of changes under way. */
export function pendingDirectory(target: GenerationTarget): string {
  return `${stateDirectory(target)}/${PENDING}`;
}

function namesIn(directory: string): readonly string[] {
  // Often it is missing, and checking costs a tenth of handling the error.
  if (!existsSync(directory)) return [];
  try {
    return readdirSync(directory);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
