import { type Dir, type Dirent, opendirSync } from 'node:fs';
import { opendir } from 'node:fs/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { isMissingFile } from '#base/files/ignore-missing';
import { systemErrorCode } from '#base/go/system-error';
import { FallBackToGit } from '#git/command/in-process';
import { beginsWith } from '#git/names/prefixes';
import { isRefName, type RefName } from '#git/names/ref-name';
import type { ResolvedRef } from '../resolved-refs.ts';
import { readLooseRef } from './loose-ref.ts';

const ENTRIES_PER_READ = 64;
/** Entries that are read on the main thread at once (some 2 ms); a larger directory on another one. */
const ENTRIES_AT_ONCE = 1000;

const SLASH = Buffer.from('/');
const ANY_LETTER = Buffer.from('x');
const LOCK = Buffer.from('.lock');
const DOT = 0x2e;

/** A loose reference with its symbolic references resolved. */
export interface LooseRef {
  readonly name: Buffer;
  /**
   * `undefined` for a dangling symbolic reference: it is not listed, but hides the packed one of
   * its name.
   */
  readonly oid: string | undefined;
  /** Final name of a symbolic reference. */
  readonly symbolicTarget: Buffer | undefined;
}

export interface LooseRefOptions {
  /** Prefix of the names; it begins with `refs/`. */
  readonly prefix: Buffer;
  /** Only the reference with that name, and those below it as a directory. Default false. */
  readonly isPath?: boolean;
  /** Follows a symbolic reference to an id; `undefined` when it leads nowhere. */
  readonly follow: (name: RefName) => ResolvedRef | undefined;
  /**
   * Ignores files whose names git does not allow, as `for-each-ref` does; else it falls back to git
   * at the first of them.
   */
  readonly skipsBadNames: boolean;
  /** Limit of files and directories, beyond which git is faster. */
  readonly maxEntries: number;
}

/**
 * Reads the loose references with a prefix, in the order of names. Hidden files and locks are
 * ignored.
 *
 * @throws {FallBackToGit} at a file that git would not write, and when there are very many.
 */
export async function walkLooseRefs(gitDirectory: string, options: LooseRefOptions): Promise<LooseRef[]> {
  const { prefix, follow } = options;
  const refs: LooseRef[] = [];
  // Such a prefix may even lead out of the repository.
  if (!isUsable(Buffer.concat([prefix, ANY_LETTER]), options)) return refs;
  const waiting = [prefix.subarray(0, prefix.lastIndexOf(SLASH) + 1)];
  if (options.isPath === true) {
    const own = isUsable(prefix, options) ? readRefIfThere(gitDirectory, prefix, follow) : undefined;
    if (own !== undefined) refs.push(own);
    waiting.splice(0, 1, Buffer.concat([prefix, SLASH]));
  }
  const slice = new LoopSlice();
  let seen = 0;
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    const left = options.maxEntries - seen;
    const entries = await firstEntries(gitDirectory, directory, left + 1);
    if (entries.length > left) throw new FallBackToGit('there are very many loose references');
    for (const entry of entries) {
      seen++;
      await slice.pause(); // reading a file takes long enough to look at the clock each time
      const name = Buffer.concat([directory, entry.name]);
      if (isIgnored(entry.name)) continue;
      if (entry.isDirectory()) {
        const below = Buffer.concat([name, SLASH]);
        const shared = Math.min(below.length, prefix.length);
        if (below.compare(prefix, 0, shared, 0, shared) === 0) waiting.push(below);
      } else if (beginsWith(name, prefix) && isUsable(name, options)) {
        const ref = readRef(gitDirectory, name, follow);
        if (ref !== undefined) refs.push(ref);
      }
    }
  }
  return refs.sort((a, b) => Buffer.compare(a.name, b.name));
}

function isUsable(name: Buffer, { skipsBadNames }: LooseRefOptions): name is RefName {
  if (isRefName(name)) return true;
  if (skipsBadNames) return false;
  throw new FallBackToGit('a name that git does not allow');
}

/** Reports whether git ignores an entry. */
function isIgnored(entry: Buffer): boolean {
  return entry[0] === DOT || entry.subarray(-LOCK.length).equals(LOCK);
}

function readRef(
  gitDirectory: string,
  name: RefName,
  follow: LooseRefOptions['follow'],
): LooseRef | undefined {
  const raw = readLooseRef(gitDirectory, name);
  if (raw === undefined) return undefined;
  if (raw.oid !== undefined) return { name, oid: raw.oid, symbolicTarget: undefined };
  const end = follow(name);
  return { name, oid: end?.oid, symbolicTarget: end?.name };
}

function readRefIfThere(...args: Parameters<typeof readRef>): LooseRef | undefined {
  try {
    return readRef(...args);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOTDIR') return undefined; // below another reference
    throw error;
  }
}

/**
 * Returns at most this number of entries of a directory below `refs/`. They are read without a
 * pause: with one, a name that changes could come twice.
 */
async function firstEntries(
  gitDirectory: string,
  directory: Buffer,
  count: number,
): Promise<readonly LooseEntry[]> {
  const entries = [...entriesOfDirectory(gitDirectory, directory).take(Math.min(count, ENTRIES_AT_ONCE + 1))];
  if (entries.length <= ENTRIES_AT_ONCE || entries.length === count) return entries;
  return await entriesOfLarge(pathOf(gitDirectory, directory), count);
}

/** Returns entries that another thread reads in one go. */
async function entriesOfLarge(path: Buffer, count: number): Promise<LooseEntry[]> {
  const entries: LooseEntry[] = [];
  try {
    await using opened = await opendir(path, { encoding: 'latin1', bufferSize: count + 1 });
    let entry = await opened.read();
    for (; entry !== null && entries.length < count; entry = opened.readSync())
      entries.push(looseEntry(entry));
  } catch (error) {
    if (!isMissingFile(error)) throw error;
  }
  return entries;
}

function pathOf(gitDirectory: string, directory: Buffer): Buffer {
  return Buffer.concat([Buffer.from(`${gitDirectory}/`), directory]);
}

/** An entry of a directory below `refs/`. */
export interface LooseEntry {
  readonly name: Buffer;
  isDirectory(): boolean;
}

/** Yields the entries of a directory below `refs/` as they are read; none if there is no such directory. */
export function* entriesOfDirectory(gitDirectory: string, directory: Buffer): Generator<LooseEntry, void> {
  const opened = openIfThere(pathOf(gitDirectory, directory));
  if (opened === undefined) return;
  try {
    for (let entry = opened.readSync(); entry !== null; entry = opened.readSync()) yield looseEntry(entry);
  } finally {
    opened.closeSync();
  }
}

function openIfThere(path: Buffer): Dir | undefined {
  try {
    return opendirSync(path, { encoding: 'latin1', bufferSize: ENTRIES_PER_READ });
  } catch (error) {
    if (isMissingFile(error)) return undefined;
    throw error;
  }
}

function looseEntry(entry: Dirent): LooseEntry {
  return { name: Buffer.from(entry.name, 'latin1'), isDirectory: () => entry.isDirectory() };
}
