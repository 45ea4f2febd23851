import { BoundedMap } from '#base/bounded-map';
import type { FileStamp } from '#base/files/file-stamp';
import type { GitDirectory } from '#git/command/git-directory';
import { FallBackToGit } from '#git/in-process';
import { OID_DIGITS, type OidDigits } from '#git/objects/object-id';
import { type LineOptions, PackedLines, readPackedLines } from './packed-lines.ts';
import type { PackedRefsCache, PackedRefsFile } from './packed-refs-cache.ts';

interface Entry {
  readonly stamp: FileStamp;
  /** `undefined` for a file that only git can read. */
  readonly lines: Promise<PackedLines | undefined>;
  bytes: number;
}

/** Larger files are left to git. 400,000 references take some 30 MB. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
/** Limit of all cached lines together; the least recently used ones are removed. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** Memory of an entry in addition to its lines. */
const ENTRY_BYTES = 1024;

const NO_LINES: Readonly<Record<OidDigits, PackedLines>> = {
  [OID_DIGITS.sha1]: new PackedLines(Buffer.alloc(0), Uint32Array.of(0), OID_DIGITS.sha1),
  [OID_DIGITS.sha256]: new PackedLines(Buffer.alloc(0), Uint32Array.of(0), OID_DIGITS.sha256),
};

/**
 * The lines of packed-refs files. They are built once for each file, in about the time of one
 * response of git, and used until the file changes: git never modifies it, but replaces it.
 */
export class PackedLinesCache {
  readonly #packed: PackedRefsCache;
  readonly #entries = new BoundedMap<string, Entry>({
    maxEntries: MAX_KEPT_BYTES / ENTRY_BYTES,
    maxWeight: MAX_KEPT_BYTES,
    weigh: ({ bytes }) => bytes,
  });

  constructor(packed: PackedRefsCache) {
    this.#packed = packed;
  }

  /**
   * Returns the packed references of a repository; no lines if it has no such file.
   *
   * @throws {FallBackToGit} when only git can interpret the file.
   */
  async get({ path }: GitDirectory, options: LineOptions): Promise<PackedLines> {
    const stamp = this.#packed.stamp(path);
    if (stamp === undefined) return NO_LINES[options.digits];
    const key = keyOf(path, options);
    const known = this.#entries.get(key);
    const lines = await (known?.stamp === stamp ? known.lines : this.#read(path, options));
    if (lines === undefined) throw new FallBackToGit('packed-refs is none of git’s, or too big');
    return lines;
  }

  forget({ path }: GitDirectory): void {
    for (const digits of Object.values(OID_DIGITS)) {
      for (const peel of [true, false]) this.#entries.delete(keyOf(path, { digits, peel }));
    }
  }

  #read(path: string, options: LineOptions): Promise<PackedLines | undefined> {
    const file = this.#packed.open(path);
    if (file === undefined) return Promise.resolve(NO_LINES[options.digits]);
    const key = keyOf(path, options);
    const entry: Entry = { stamp: file.stamp, lines: readAndClose(file, options), bytes: ENTRY_BYTES };
    this.#entries.set(key, entry);
    const isKept = (): boolean => this.#entries.peek(key) === entry;
    entry.lines.then(
      (lines) => {
        entry.bytes += lines?.bytes ?? 0;
        if (isKept()) this.#entries.set(key, entry); // updates the weight
      },
      () => {
        if (isKept()) this.#entries.delete(key);
      },
    );
    return entry.lines;
  }
}

function keyOf(path: string, { digits, peel }: LineOptions): string {
  return `${path}\0${digits}${peel ? ' peeled' : ''}`;
}

async function readAndClose(file: PackedRefsFile, options: LineOptions): Promise<PackedLines | undefined> {
  using open = file;
  if (open.source.size > MAX_FILE_BYTES) return undefined;
  try {
    return await readPackedLines(open, options);
  } catch (error) {
    if (error instanceof FallBackToGit) return undefined;
    throw error;
  }
}
