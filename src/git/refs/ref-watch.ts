import { type Dirent, lstatSync, readdirSync, type Stats } from 'node:fs';
import { type FileStamp, isSettled, NO_FILE, stampOf } from '#base/files/file-stamp';
import { systemErrorCode } from '#base/go/system-error';
import { TABLES_LIST } from './reftable/stacks.ts';

/** Files on which a list of references depends, in addition to those below `refs/`. */
const FILES = [
  'config',
  'config.worktree',
  'HEAD',
  'packed-refs',
  'shallow',
  'info/grafts',
  'refs',
  TABLES_LIST,
];

const NOT_UTF8 = '\ufffd';

/** Limit of files and directories; looking at more of them costs as much as listing them. */
const MAX_ENTRIES = 200;

/** The state of a repository's references at some time. */
export class RefWatch {
  readonly #stamps: ReadonlyMap<string, FileStamp>;

  constructor(stamps: ReadonlyMap<string, FileStamp>) {
    this.#stamps = stamps;
  }

  /** Reports whether the references, and the settings for reading them, are the same now. */
  isUnchanged(): boolean {
    for (const [path, stamp] of this.#stamps) if (stampAt(path) !== stamp) return false;
    return true;
  }
}

/**
 * Notes the state of the references: all directories and files below `refs/`, packed-refs, HEAD,
 * the list of reftables, and the files that change how they are read. Call it before reading them.
 *
 * @param nowMs milliseconds since 1970.
 * @returns undefined when they changed so recently that the next change may go unnoticed, when
 *   there are many, or something else than files and directories.
 */
export function watchRefs(gitDirectory: string, nowMs = Date.now()): RefWatch | undefined {
  const stamps = new Map<string, FileStamp>();
  const note = (path: string): boolean => {
    const stats = statsAt(path);
    if (stats === 'unknown' || stats?.isSymbolicLink()) return false;
    if (stats !== undefined && !isSettled(stats, nowMs)) return false;
    stamps.set(path, stats === undefined ? NO_FILE : stampOf(stats));
    return true;
  };
  // References of another directory.
  if (statsAt(`${gitDirectory}/commondir`) !== undefined) return undefined;
  if (!FILES.every((name) => note(`${gitDirectory}/${name}`))) return undefined;
  const waiting = [`${gitDirectory}/refs`];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const entry of entriesOf(directory)) {
      const path = `${directory}/${entry.name}`;
      if (entry.isDirectory()) waiting.push(path);
      else if (!entry.isFile() || entry.name.includes(NOT_UTF8)) return undefined;
      if (stamps.size >= MAX_ENTRIES || !note(path)) return undefined;
    }
  }
  return new RefWatch(stamps);
}

function stampAt(path: string): FileStamp | undefined {
  const stats = statsAt(path);
  if (stats === 'unknown') return undefined;
  return stats === undefined ? NO_FILE : stampOf(stats);
}

function statsAt(path: string): Stats | 'unknown' | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    return systemErrorCode(error) === 'ENOTDIR' ? undefined : 'unknown';
  }
}

/** Returns the entries; a missing directory changes the stamp of the one above. */
function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT' || systemErrorCode(error) === 'ENOTDIR') return [];
    throw error;
  }
}
