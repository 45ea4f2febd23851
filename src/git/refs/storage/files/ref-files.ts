import { existsSync, type Stats } from 'node:fs';
import { type FileStamp, NO_FILE } from '#base/files/file-stamp';
import { systemErrorCode } from '#base/go/system-error';
import type { CommandRepository } from '#git/command/command-repository';
import { FallBackToGit } from '#git/command/in-process';
import { isOid, isZeroOid, OID_DIGITS } from '#git/names/object-id';
import { HEAD, isRefName, type RefName } from '#git/names/ref-name';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import type { RefCaches } from '#git/refs/resolve/ref-caches';
import { followCached } from '../follow-ref.ts';
import type { ListedRef } from '../listed-ref.ts';
import type { AdvertisedView, ListStoredOptions, ReadRef, RefStorage, RefSum } from '../ref-storage.ts';
import type { ResolvedRef, ResolvedRefWatch } from '../resolved-refs.ts';
import { type RawRef, readLooseRef } from './loose-ref.ts';
import type { LineOptions } from './packed-lines.ts';
import { findPackedRef, firstPackedRef, type PackedRefsSource, requireSorted } from './packed-refs.ts';
import type { PackedRefsCache, PackedRefsFile } from './packed-refs-cache.ts';
import { readPackedLines } from './read-packed-lines.ts';
import { type EncodedRefs, type LinesSource, NO_LINES } from './ref-lines-cache.ts';
import { sumRefFiles } from './sum-ref-files.ts';
import { entriesOfDirectory, walkLooseRefs } from './walk-loose-refs.ts';
import { walkRefFiles } from './walk-ref-files.ts';

/** Entries of `refs/heads` that are searched for a first branch; git is faster with more. */
const MAX_ENTRIES = 1_000;
const BRANCHES = Buffer.from('refs/heads/');
const SLASH = Buffer.from('/');
// Made once: lists may meet many.
const NOT_PLAIN = new FallBackToGit('a reference is not one that git writes');

/** The references of one repository in files: loose ones, and packed-refs. */
export class RefFiles implements RefStorage {
  readonly backend = 'files';
  readonly #caches: RefCaches;
  readonly #repository: CommandRepository;

  constructor(caches: RefCaches, repository: CommandRepository) {
    this.#caches = caches;
    this.#repository = repository;
  }

  inView<T>(use: (read: ReadRef) => T, watch?: ResolvedRefWatch): T {
    return use((name) => {
      const { packed, loose } = watch?.before(name) ?? {};
      return packed === undefined ? this.#read(name, loose) : this.#readPacked(name, packed);
    });
  }

  follow(name: RefName): ResolvedRef | undefined {
    return followCached(this, this.#caches.resolved, { gitDirectory: this.#repository.path, name });
  }

  /** git reads any file of its directory as a reference before it completes a name. */
  isTaken(name: string, hasFile = true): boolean {
    return (
      hasFile &&
      existsSync(Buffer.concat([Buffer.from(`${this.#repository.path}/`), Buffer.from(name, 'latin1')]))
    );
  }

  mayLog(name: RefName): boolean {
    const logs = `${this.#repository.path}/logs/`;
    return existsSync(Buffer.concat([Buffer.from(logs), name])) || existsSync(`${logs}HEAD`);
  }

  hasBranch(): boolean {
    const head = this.#read(HEAD); // a broken one makes the repository one that git refuses
    if (this.#isLooseBranch(head?.symbolicTarget)) return true;
    const isPacked = this.#caches.packed.read(this.#repository.path, (source) => {
      requireSorted(source);
      return firstPackedRef(source, BRANCHES) !== undefined;
    });
    return isPacked === true || this.#hasLooseBranch();
  }

  list(
    query: Pick<RefQuery, 'patterns' | 'exclude'>,
    options: ListStoredOptions,
  ): AsyncGenerator<ListedRef[], void> {
    const repository = this.#repository;
    const digits = OID_DIGITS[repository.objectFormat];
    const follow = (name: RefName) => this.follow(name);
    return walkRefFiles({ repository, packed: this.#caches.packed, digits, follow, ...options }, query);
  }

  advertised({ peel }: { readonly peel: boolean }): Promise<AdvertisedView> {
    const { packed, lines } = this.#caches;
    const { path, objectFormat } = this.#repository;
    const follow = (name: RefName) => this.follow(name);
    const options = { digits: OID_DIGITS[objectFormat], peel };
    return Promise.resolve({
      read: (name: RefName) => this.#read(name),
      follow,
      others: (prefix: Buffer, maxEntries: number) =>
        walkLooseRefs(path, { prefix, follow, skipsBadNames: false, maxEntries }),
      lines: async () => (await lines.get(path, options, packedLinesSource(packed, path, options))).lines,
    });
  }

  sum(): Promise<RefSum> {
    const { path, objectFormat } = this.#repository;
    const follow = (name: RefName) => this.follow(name);
    return sumRefFiles(path, { caches: this.#caches, digits: OID_DIGITS[objectFormat], follow });
  }

  /**
   * Reads a reference from its own file, else from packed-refs. The order matters: packing writes
   * the latter first.
   *
   * @param stats Of its own file, where they are known.
   */
  #read(name: RefName, stats?: Stats): RawRef | undefined {
    const { path } = this.#repository;
    const read =
      stats !== undefined && name.equals(HEAD)
        ? () => this.#caches.heads.read(`${path}/HEAD`, stats)
        : undefined;
    return readLooseRef(path, name, { stats, read }) ?? this.#readPacked(name);
  }

  /** @param stamp that of packed-refs, where it is known. */
  #readPacked(name: RefName, stamp?: FileStamp): RawRef | undefined {
    const find = (source: PackedRefsSource): string | undefined => {
      requireSorted(source);
      return findPackedRef(source, name);
    };
    const oid = this.#caches.packed.read(this.#repository.path, find, stamp);
    if (oid === undefined) return undefined;
    if (!isOid(oid) || isZeroOid(oid)) throw NOT_PLAIN;
    return { oid };
  }

  #isLooseBranch(name: RefName | undefined): boolean {
    if (name?.subarray(0, BRANCHES.length).equals(BRANCHES) !== true) return false;
    try {
      return readLooseRef(this.#repository.path, name)?.oid !== undefined;
    } catch (error) {
      if (systemErrorCode(error) === 'ENOTDIR') return false; // a file in the place of a directory
      throw error;
    }
  }

  /** Searches for the first branch. A directory may have many: they are not all listed. */
  #hasLooseBranch(): boolean {
    const { path } = this.#repository;
    const waiting = [BRANCHES];
    let seen = 0;
    for (let directory = waiting.pop(); directory !== undefined; directory = waiting.pop()) {
      for (const entry of entriesOfDirectory(path, directory)) {
        if (++seen > MAX_ENTRIES) throw new FallBackToGit('there are very many loose references');
        const name = Buffer.concat([directory, entry.name]);
        if (entry.isDirectory()) waiting.push(Buffer.concat([name, SLASH]));
        else if (isRefName(name)) {
          const raw = readLooseRef(path, name);
          if (raw?.symbolicTarget !== undefined) throw new FallBackToGit('a branch is symbolic');
          if (raw !== undefined) return true;
        }
      }
    }
    return false;
  }
}

/** Larger files are left to git. 400,000 references take some 30 MB. */
const MAX_FILE_BYTES = 32 * 1024 * 1024;

/** Returns the packed references of a repository, to be encoded when they have changed. */
export function packedLinesSource(packed: PackedRefsCache, path: string, options: LineOptions): LinesSource {
  return {
    stamp: packed.stamp(path) ?? NO_FILE,
    open: () => {
      const file = packed.open(path);
      if (file === undefined) return { stamp: NO_FILE, encoded: Promise.resolve(NO_LINES[options.digits]) };
      return { stamp: file.stamp, encoded: readAndClose(file, options) };
    },
  };
}

async function readAndClose(file: PackedRefsFile, options: LineOptions): Promise<EncodedRefs> {
  using open = file;
  if (open.source.size > MAX_FILE_BYTES) throw new FallBackToGit('packed-refs is too big');
  return { lines: await readPackedLines(open, options), symbolic: [] };
}
