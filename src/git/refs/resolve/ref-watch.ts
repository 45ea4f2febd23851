import { type Dirent, readdirSync } from 'node:fs';
import { type FileStamp, isSettled, NO_FILE, stampOf } from '#base/files/file-stamp';
import { systemErrorCode } from '#base/go/system-error';
import { TABLES_LIST } from '../storage/reftable/stacks.ts';
import { statsOf } from '../storage/resolved-refs.ts';

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

/** Ends a stamp in a text of several. */
const END = '\n';
/** Separates names, and is in none. */
const NUL = '\0';
/** Memory of the object itself, with its two texts. */
const WATCH_BYTES = 200;

/** The state of a repository's references at some time. */
export class RefWatch {
  readonly #gitDirectory: string;
  /** Names below the repository's directory, of files and directories below `refs/`. */
  readonly #names: string;
  /**
   * Stamps of {@link FILES}, then of the names. Caches keep a watch for each of many repositories,
   * and a text takes a tenth of the memory of a map.
   */
  readonly #stamps: string;

  constructor(gitDirectory: string, names: readonly string[], stamps: readonly FileStamp[]) {
    this.#gitDirectory = gitDirectory;
    this.#names = names.join(NUL);
    this.#stamps = stamps.join(END) + END;
  }

  /** Memory in bytes. */
  get bytes(): number {
    return WATCH_BYTES + 2 * this.#names.length + this.#stamps.length;
  }

  /** Reports whether the references, and the settings for reading them, are the same now. */
  isUnchanged(): boolean {
    let at = 0;
    for (const name of [...FILES, ...(this.#names === '' ? [] : this.#names.split(NUL))]) {
      const stamp = stampAt(`${this.#gitDirectory}/${name}`);
      if (stamp === undefined || !this.#stamps.startsWith(stamp + END, at)) return false;
      at += stamp.length + END.length;
    }
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
  const names: string[] = [];
  const stamps: FileStamp[] = [];
  const note = (name: string): boolean => {
    const stats = statsOf(`${gitDirectory}/${name}`);
    if (stats === 'unknown' || stats?.isSymbolicLink()) return false;
    if (stats !== undefined && !isSettled(stats, nowMs)) return false;
    stamps.push(stats === undefined ? NO_FILE : stampOf(stats));
    return true;
  };
  // References of another directory.
  if (statsOf(`${gitDirectory}/commondir`) !== undefined) return undefined;
  if (!FILES.every(note)) return undefined;
  const waiting = ['refs'];
  for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
    for (const entry of entriesOf(`${gitDirectory}/${directory}`)) {
      const name = `${directory}/${entry.name}`;
      if (entry.isDirectory()) waiting.push(name);
      else if (!entry.isFile() || entry.name.includes(NOT_UTF8)) return undefined;
      if (stamps.length >= MAX_ENTRIES || !note(name)) return undefined;
      names.push(name);
    }
  }
  return new RefWatch(gitDirectory, names, stamps);
}

function stampAt(path: string): FileStamp | undefined {
  const stats = statsOf(path);
  if (stats === 'unknown') return undefined;
  return stats === undefined ? NO_FILE : stampOf(stats);
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
