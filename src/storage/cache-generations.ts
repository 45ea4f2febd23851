import { randomUUID } from 'node:crypto';
import { existsSync, linkSync, readdirSync, readFileSync, statSync, unlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { rename, writeFile } from 'node:fs/promises';
import { systemErrorCode } from '#base/system-error';
import { makeDirectories } from './make-directories.ts';
import type { Storage } from './repository-target.ts';
import { stateRoot } from './storage-layout.ts';

/** A mark that is older was left by a process that died: all marks of a process are as old as its latest. */
export const PENDING_MAX_AGE_MS = 60 * 60 * 1000;

const FILE_MODE = 0o600;

/** What the marks of this process are links to. */
const OWN_MARK = `mark-${randomUUID()}`;

/** The cleaner may remove an empty directory under our feet this often. */
const MAX_ATTEMPTS = 3;

/** A repository whose cached responses are meant. `relativePath` is clean. */
export interface GenerationTarget {
  readonly storage: Storage;
  readonly relativePath: string;
}

/** A change that is under way. End it exactly once, whether the change succeeded or not. */
export interface PendingChange {
  end(): Promise<void>;
}

/**
 * The state of a repository as caches see it: a random id that every change replaces. It lies in files, so that all Gitaly
 * processes that share the storage (two during an upgrade) see the same:
 *
 *     <state>/<relative path>/latest          the current id
 *     <state>/<relative path>/pending/<id>    one file for each change under way
 *     <state>/mark-<id>                       what the marks of one process are links to
 *
 * Rules that keep a cache from serving what a finished change has replaced:
 * 1. A change marks itself before it begins and removes `latest`.
 * 2. Nobody caches while a mark is there: what was read then may be half of each state.
 * 3. A change that ends removes `latest` once more and its mark after; the next reader makes a new one. The other way round, a reader
 *    between the two could find an id that somebody else made in the middle of the change.
 *
 * @returns the id, `undefined` when a change is under way and nothing may be cached.
 */
export async function currentGeneration(target: GenerationTarget, nowMs = Date.now()): Promise<string | undefined> {
  // Small files that are in memory: reading them takes some microseconds, a trip to another thread and back ten times that.
  if (changeIsPending(target, nowMs)) return undefined;
  try {
    return readFileSync(latestPath(target), 'utf8');
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    return await renew(target);
  }
}

/** Marks that a change begins. Cached responses of the repository are not used from now on. */
export async function beginChange(target: GenerationTarget): Promise<PendingChange> {
  const mark = `${pendingDirectory(target)}/${randomUUID()}`;
  // Every change waits for this. The calls take some microseconds each, a trip to another thread and back takes ten times that.
  await inDirectory(target.storage, pendingDirectory(target), () => putMark(target.storage, mark));
  removeLatest(target);
  return { end: async () => endChange(target, mark) };
}

/**
 * A link is a line in a directory. A file of its own for each change would take some fifty times as long: ext4 passes over whatever was removed
 * in the last seconds when it looks for a free inode.
 */
function putMark(storage: Storage, mark: string): void {
  const own = `${stateRoot(storage)}/${OWN_MARK}`;
  touch(own);
  try {
    linkSync(own, mark);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw error;
    // A file system without links, or too many of them.
    writeFileSync(mark, '', { flag: 'wx', mode: FILE_MODE });
  }
}

function touch(file: string): void {
  const now = new Date();
  try {
    utimesSync(file, now, now);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    writeFileSync(file, '', { mode: FILE_MODE });
  }
}

function endChange(target: GenerationTarget, mark: string): void {
  removeLatest(target);
  removeFile(mark);
}

/** Mostly there is none, and to be told so by an error costs ten times as much as to look. */
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
  let pending = false;
  for (const name of namesIn(pendingDirectory(target))) {
    const mark = `${pendingDirectory(target)}/${name}`;
    const stats = statSync(mark, { throwIfNoEntry: false });
    if (stats === undefined) continue;
    if (nowMs - stats.mtimeMs < PENDING_MAX_AGE_MS) {
      pending = true;
    } else {
      endChange(target, mark);
    }
  }
  return pending;
}

async function renew(target: GenerationTarget): Promise<string> {
  const id = randomUUID();
  const directory = stateDirectory(target);
  const draft = `${directory}/${id}.tmp`;
  await inDirectory(target.storage, directory, async () => {
    await writeFile(draft, id, { mode: FILE_MODE });
    await rename(draft, latestPath(target));
  });
  return id;
}

/** Does something in a directory that may be missing, or vanish between making it and using it. */
async function inDirectory(storage: Storage, directory: string, run: () => Promise<void> | void): Promise<void> {
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

function pendingDirectory(target: GenerationTarget): string {
  return `${stateDirectory(target)}/pending`;
}

function namesIn(directory: string): readonly string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw error;
  }
}
