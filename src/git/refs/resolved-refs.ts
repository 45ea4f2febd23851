import { isAscii } from 'node:buffer';
import { lstatSync, type Stats } from 'node:fs';
import { systemErrorCode } from '#base/system-error';

/** A reference at the end of a chain of symbolic ones. */
export interface ResolvedRef {
  readonly name: Buffer;
  readonly oid: string;
}

interface Known {
  /** The files that had a say, as they were before they were read. */
  readonly files: readonly WatchedFile[];
  /** `undefined`: there is no such reference. */
  readonly ref: ResolvedRef | undefined;
}

interface WatchedFile {
  readonly path: string;
  /** `undefined` for a file that is not there. */
  readonly stats: Stats | undefined;
}

/** An entry is about half a KiB. */
const MAX_KNOWN = 4_000;
/**
 * How long a file must have been left alone before its stamp is trusted: file systems stamp with a coarse clock, and two changes within one
 * tick look like one (Linux: up to 10 ms, some network file systems 1 s).
 */
const SETTLED_MS = 2_000;

/**
 * Remembers where references led to, for as long as every file that had a say in it is the same: asking again costs a `stat` of each
 * (HEAD of a packed repository: three) and no reading, parsing or searching.
 */
export class ResolvedRefs {
  readonly #known = new Map<string, Known>();
  readonly #now: () => number;

  /** @param now milliseconds since 1970, for tests. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /** What a reference leads to now; no answer at all when its files have to be read. */
  find(gitDirectory: string, name: Buffer): { readonly ref: ResolvedRef | undefined } | undefined {
    const key = keyOf(gitDirectory, name);
    const known = this.#known.get(key);
    if (known === undefined) return undefined;
    this.#known.delete(key);
    if (!known.files.every(isUnchanged)) return undefined;
    // Last in the map is last used.
    this.#known.set(key, known);
    return known;
  }

  /** Watches the files that are about to be read for a reference. */
  watch(gitDirectory: string, name: Buffer): ResolvedRefWatch {
    return new ResolvedRefWatch(gitDirectory, this.#now() - SETTLED_MS, (known) =>
      this.#remember(keyOf(gitDirectory, name), known),
    );
  }

  #remember(key: string, known: Known): void {
    this.#known.set(key, known);
    if (this.#known.size <= MAX_KNOWN) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}

/** Notes what files were like before they were read. */
export class ResolvedRefWatch {
  readonly #gitDirectory: string;
  readonly #settledBefore: number;
  readonly #remember: (known: Known) => void;
  readonly #files: WatchedFile[] = [];
  #isSettled = true;

  constructor(gitDirectory: string, settledBefore: number, remember: (known: Known) => void) {
    this.#gitDirectory = gitDirectory;
    this.#settledBefore = settledBefore;
    this.#remember = remember;
  }

  /** Call it before a reference is looked for in its file and in packed-refs. */
  before(name: Buffer): void {
    // Names beyond ASCII are rare, and cannot be put into a path as text.
    if (!isAscii(name)) this.#isSettled = false;
    const isLoose = this.#note(`${this.#gitDirectory}/${name.toString('latin1')}`);
    if (!isLoose) this.#note(`${this.#gitDirectory}/packed-refs`);
  }

  /** Remembers what was found, if the files were left alone for long enough. */
  found(ref: ResolvedRef | undefined): void {
    if (this.#isSettled) this.#remember({ files: this.#files, ref });
  }

  /** @returns whether it is a file; a directory may be in its place. */
  #note(path: string): boolean {
    if (!this.#isSettled) return false;
    const stats = statsOf(path);
    if (stats === 'unknown' || (stats !== undefined && stats.ctimeMs > this.#settledBefore)) this.#isSettled = false;
    else this.#files.push({ path, stats });
    return stats !== 'unknown' && stats?.isFile() === true;
  }
}

function keyOf(gitDirectory: string, name: Buffer): string {
  return `${gitDirectory}\0${name.toString('latin1')}`;
}

function isUnchanged({ path, stats }: WatchedFile): boolean {
  const now = statsOf(path);
  if (now === undefined || stats === undefined || now === 'unknown') return now === stats;
  return now.ino === stats.ino && now.ctimeMs === stats.ctimeMs && now.mtimeMs === stats.mtimeMs && now.size === stats.size;
}

function statsOf(path: string): Stats | 'unknown' | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // Another reference may be where a directory would have to be. Of anything else, whoever reads the file finds out why.
    return systemErrorCode(error) === 'ENOTDIR' ? undefined : 'unknown';
  }
}
