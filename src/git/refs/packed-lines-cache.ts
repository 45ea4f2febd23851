import type { GitRepository } from '../repository.ts';
import { OddReferencesError } from './odd-references.ts';
import { type LineOptions, PackedLines, readPackedLines } from './packed-lines.ts';
import type { PackedRefsCache, PackedRefsFile } from './packed-refs-cache.ts';

interface Entry {
  readonly stamp: string;
  /** `undefined` for a file that only git can read. */
  readonly lines: Promise<PackedLines | undefined>;
  bytes: number;
}

/** Bigger files are left to git. 400,000 references take some 30 MB. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;
/** All remembered lines together; those used last stay. */
const MAX_KEPT_BYTES = 64 * 1024 * 1024;
/** What an entry costs beside its lines. */
const ENTRY_BYTES = 1024;

const NO_LINES = {
  40: new PackedLines(Buffer.alloc(0), Uint32Array.of(0), 40),
  64: new PackedLines(Buffer.alloc(0), Uint32Array.of(0), 64),
} as const;

/**
 * The lines of packed-refs files. They are made once for each file, which takes about as long as git takes for one answer, and used for as
 * long as the file is the same: git never changes it, but puts another in its place.
 */
export class PackedLinesCache {
  readonly #packed: PackedRefsCache;
  /** In order of use. */
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  constructor(packed: PackedRefsCache) {
    this.#packed = packed;
  }

  /**
   * The packed references of a repository; no lines when it has no such file.
   *
   * @throws {OddReferencesError} when only git can tell what the file says.
   */
  async get({ path }: GitRepository, options: LineOptions): Promise<PackedLines> {
    const stamp = this.#packed.stamp(path);
    if (stamp === undefined) return NO_LINES[options.digits];
    const key = keyOf(path, options);
    const known = this.#entries.get(key);
    if (known?.stamp === stamp) this.#touch(key, known);
    const lines = await (known?.stamp === stamp ? known.lines : this.#read(path, options));
    if (lines === undefined) throw new OddReferencesError('packed-refs is none of git’s, or too big');
    return lines;
  }

  forget({ path }: GitRepository): void {
    for (const digits of [40, 64] as const) {
      for (const peel of [true, false]) this.#drop(keyOf(path, { digits, peel }));
    }
  }

  #read(path: string, options: LineOptions): Promise<PackedLines | undefined> {
    const file = this.#packed.open(path);
    if (file === undefined) return Promise.resolve(NO_LINES[options.digits]);
    const key = keyOf(path, options);
    this.#drop(key);
    const entry: Entry = { stamp: file.stamp, lines: readAndClose(file, options), bytes: 0 };
    this.#entries.set(key, entry);
    entry.lines.then(
      (lines) => this.#count(key, entry, lines?.bytes ?? 0),
      () => {
        if (this.#entries.get(key) === entry) this.#drop(key);
      },
    );
    return entry.lines;
  }

  #touch(key: string, entry: Entry): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  #count(key: string, entry: Entry, bytes: number): void {
    if (this.#entries.get(key) !== entry) return;
    entry.bytes = bytes + ENTRY_BYTES;
    this.#bytes += entry.bytes;
    for (const oldest of this.#entries.keys()) {
      if (this.#bytes <= MAX_KEPT_BYTES) return;
      this.#drop(oldest);
    }
  }

  #drop(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
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
    if (error instanceof OddReferencesError) return undefined;
    throw error;
  }
}
