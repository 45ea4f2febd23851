import { isAscii } from 'node:buffer';
import { lstatSync, type Stats } from 'node:fs';
import { type FileStamp, isSettled, NO_FILE, stampOf } from '#base/files/file-stamp';
import { systemErrorCode } from '#base/go/system-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import type { Oid } from '#git/names/object-id';
import { type RefName, trustedRefName } from '#git/names/ref-name';
import type { StoredBackend } from '#git/repository-files/repository-format';

/** A reference with its symbolic references resolved. */
export interface ResolvedRef {
  readonly name: RefName;
  readonly oid: Oid;
}

interface Known {
  /**
   * The files that determine the result, as they were before they were read: the name of each below
   * the git directory, and its stamp. One list takes a third of the memory of paths in objects.
   */
  readonly files: readonly string[];
  /** `undefined` if there is no such reference. */
  readonly ref: ResolvedRef | undefined;
  /** The format of the references that were read. */
  readonly backend: StoredBackend;
}

/** The known result of a name. That there is no reference only applies to references of the format. */
export type KnownRef = Pick<Known, 'ref' | 'backend'>;

type NameForm = 'full' | 'short';

/** Limit of entries of about half a KiB each. */
const MAX_KNOWN = 4_000;
/** Names that results share: most repositories have the same default branch. */
const MAX_SHARED_NAMES = 100;

/**
 * Caches resolved references until a file that was read for them changes. A cached result costs a
 * `stat` of each file (HEAD of a packed repository: three) and no reading, parsing or searching.
 */
export class ResolvedRefs {
  readonly #known = new BoundedMap<string, Known>({ maxEntries: MAX_KNOWN });
  /** By name, one character per byte. A buffer of its own takes 300 bytes. */
  readonly #names = new BoundedMap<string, RefName>({ maxEntries: MAX_SHARED_NAMES });
  readonly #now: () => number;

  /** Creates the cache. @param now milliseconds since 1970, for tests. */
  constructor(now: () => number = Date.now) {
    this.#now = now;
  }

  /**
   * Returns the current result of a name; `undefined` if its files must be read.
   *
   * @param form `short` for a name that git completes (`main`), one character per byte.
   */
  find(gitDirectory: string, name: string, form: NameForm = 'full'): KnownRef | undefined {
    const key = nameKey(gitDirectory, name, form);
    const known = this.#known.get(key);
    if (known === undefined) return undefined;
    if (areUnchanged(gitDirectory, known.files)) return known;
    this.#known.delete(key);
    return undefined;
  }

  /** Watches the files that are about to be read for a name. */
  watch(gitDirectory: string, name: string, form: NameForm = 'full'): ResolvedRefWatch {
    return new ResolvedRefWatch(gitDirectory, this.#now(), ({ files, ref, backend }) => {
      const kept = ref && { name: this.#shared(ref.name), oid: ref.oid };
      this.#known.set(nameKey(gitDirectory, name, form), { files, ref: kept, backend });
    });
  }

  #shared(name: RefName): RefName {
    const text = name.toString('latin1');
    const known = this.#names.get(text);
    if (known !== undefined) return known;
    const own = trustedRefName(keptBytes([name]));
    this.#names.set(text, own);
    return own;
  }
}

/** Records the state of files before they are read. */
export class ResolvedRefWatch {
  readonly #gitDirectory: string;
  readonly #nowMs: number;
  readonly #remember: (known: Known) => void;
  /**
   * By name below the git directory, in the order in which they must be checked: packed-refs after
   * the files packed into it.
   */
  readonly #files = new Map<string, FileStamp>();
  #isSettled = true;

  constructor(gitDirectory: string, nowMs: number, remember: (known: Known) => void) {
    this.#gitDirectory = gitDirectory;
    this.#nowMs = nowMs;
    this.#remember = remember;
  }

  /**
   * Records the files of a reference, before it is read from its file and from packed-refs.
   *
   * @returns `packed`, the stamp of packed-refs, when the reference has no file, so that only
   *   packed-refs need be read; `loose`, the stats of its file; neither when they are not known.
   */
  before(name: RefName): { readonly packed?: FileStamp; readonly loose?: Stats } {
    // Names beyond ASCII are rare, and cannot be put into a path as text.
    if (!isAscii(name)) this.#isSettled = false;
    const loose = this.#note(name.toString('latin1'));
    if (loose !== 'unknown' && loose?.isFile() === true) return { loose };
    const packed = this.#note('packed-refs');
    if (packed === 'unknown' || loose === 'unknown') return {};
    // A directory may be in its place.
    return loose === undefined || loose.isDirectory() ? { packed: stampOrNone(packed) } : {};
  }

  /**
   * Records a file that is checked before any reference, and reports whether there may be one.
   *
   * @param name one character per byte.
   */
  beforeFile(name: string): boolean {
    if (!isAscii(Buffer.from(name, 'latin1'))) this.#isSettled = false;
    return this.#note(name) !== undefined;
  }

  /** Caches the result, if the files are old enough. */
  found(ref: ResolvedRef | undefined, backend: StoredBackend): void {
    if (!this.#isSettled) return;
    // The copy has no spare places, which take as much memory again.
    this.#remember({ files: Array.from(this.#files).flat().slice(), ref, backend });
  }

  /** Records a file. @returns its state; `undefined` if there is none. */
  #note(name: string): Stats | 'unknown' | undefined {
    if (!this.#isSettled) return 'unknown';
    const stats = statsOf(`${this.#gitDirectory}/${name}`);
    if (stats === 'unknown' || (stats !== undefined && !isSettled(stats, this.#nowMs)))
      this.#isSettled = false;
    else this.#add(name, stampOrNone(stats));
    return stats;
  }

  #add(name: string, stamp: FileStamp): void {
    const earlier = this.#files.get(name);
    if (earlier !== undefined && earlier !== stamp) this.#isSettled = false;
    this.#files.delete(name);
    this.#files.set(name, stamp);
  }
}

function nameKey(gitDirectory: string, name: string, form: NameForm): string {
  return `${form}\0${gitDirectory}\0${name}`;
}

/** @param files names below the git directory, each followed by its stamp. */
function areUnchanged(gitDirectory: string, files: readonly string[]): boolean {
  for (let at = 0; at < files.length; at += 2) {
    const now = statsOf(`${gitDirectory}/${files[at]}`);
    if (now === 'unknown' || stampOrNone(now) !== files[at + 1]) return false;
  }
  return true;
}

function stampOrNone(stats: Stats | undefined): FileStamp {
  return stats === undefined ? NO_FILE : stampOf(stats);
}

/** Returns what is at a path now; `unknown` if that cannot be read. */
export function statsOf(path: string): Stats | 'unknown' | undefined {
  try {
    return lstatSync(path, { throwIfNoEntry: false });
  } catch (error) {
    // Another reference may be at the place of a required directory. The reader of the file reports
    // any other error.
    return systemErrorCode(error) === 'ENOTDIR' ? undefined : 'unknown';
  }
}
