import { LoopIteration } from '#base/async/loop-turns';
import { isDirectory } from '#base/file-mode';
import { systemErrorCode } from '#base/go/system-error';
import type { CommandRepository } from '#git/command/command-repository';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import { OID_DIGITS, type Oid, trustedOid } from '#git/names/object-id';
import type { ObjectInfo, RawObject } from '#git/names/object-info';
import { isPlainPath } from '#git/names/plain-path';
import { directoriesKey, type GitDirectory } from '#git/repository-files/git-directory';
import { HeadFiles } from '#git/repository-files/head-files';
import { findInTree } from '../parse/find-in-tree.ts';
import { isParsable } from '../parse/is-parsable.ts';
import { ObjectDatabase } from './object-database.ts';
import { ObjectDirectory, type StoredEntry } from './object-directory.ts';
import { OpenPacks } from './open-packs.ts';
import type { Pack } from './pack.ts';
import { isOfType, peel } from './peel.ts';
import { parseObjectId, parsePlace, SmallObjectCache } from './small-object-cache.ts';

/** Repositories, and object directories, whose state is kept; some 500 bytes each. */
const MAX_KEPT = 5_000;
const SWEEP_MS = 5_000;
/** Time after which the files of a repository that nothing reads are closed. */
const IDLE_MS = 10_000;

/** Time in one iteration of the event loop after which reads wait for the next. */
const READS_MS = 2;

const SLASH = 0x2f;
const COLON = 0x3a;

/**
 * Reads objects in process, from the files of git's object database. Everything that is kept is
 * bounded and shared by all repositories; see README.md.
 */
export class ObjectDatabases {
  readonly iteration = new LoopIteration(READS_MS);
  readonly #heads: HeadFiles;
  readonly #databases = new Map<string, ObjectDatabase>();
  readonly #directories = new Map<string, ObjectDirectory>();
  readonly #packs = new OpenPacks();
  readonly #small = new SmallObjectCache();
  #lastKey: { readonly repository?: CommandRepository; readonly key: string } = { key: '' };
  #sweeper: NodeJS.Timeout | undefined;

  constructor(heads = new HeadFiles()) {
    this.#heads = heads;
  }

  /** Reports whether a revision is of a form that can be looked up here: an id, or a path below one. */
  isSupported(revision: Buffer): boolean {
    return parseObjectId(revision) !== undefined || parsePlace(revision) !== undefined;
  }

  /** Returns an object that was read before, or `undefined`. Reads no object. */
  cached(repository: CommandRepository, revision: Buffer): RawObject | undefined {
    const byId = parseObjectId(revision);
    const place = byId === undefined ? parsePlace(revision) : undefined;
    if (byId === undefined && place === undefined) return undefined;
    const database = this.#known(repository);
    if (database === undefined) return undefined;
    if (byId === undefined) return this.#small.getAt(database.generation, place ?? '');
    const known = this.#small.get(database.generation, byId.oid);
    const isFound = known === undefined || byId.type === undefined || isOfType(known, byId.type);
    return isFound ? known : undefined;
  }

  /** Like {@link cached}, by an id. */
  cachedById(repository: CommandRepository, oid: Oid): RawObject | undefined {
    const database = this.#known(repository);
    return database && this.#small.get(database.generation, oid);
  }

  /** Finds the object of an id. @throws as {@link find}. */
  findById(repository: CommandRepository, oid: Oid, wantsData: boolean): ObjectInfo | RawObject {
    try {
      const database = this.#open(repository);
      return wantsData ? this.#read(database, oid) : this.#info(database, oid);
    } catch (error) {
      return fallBackOnFailure(error);
    }
  }

  /**
   * Finds the object of an id, possibly peeled to a type, or at a path below one.
   *
   * @returns `undefined` if a tree has no such path.
   * @throws {FallBackToGit} when only git can answer; the system's error.
   */
  find(repository: CommandRepository, revision: Buffer, wantsData: true): RawObject | undefined;
  find(repository: CommandRepository, revision: Buffer, wantsData: boolean): ObjectInfo | undefined;
  find(repository: CommandRepository, revision: Buffer, wantsData: boolean): ObjectInfo | undefined {
    const byId = parseObjectId(revision);
    try {
      const database = this.#open(repository);
      if (byId === undefined) return this.#at(database, revision, wantsData);
      const oid = trustedOid(byId.oid); // it has matched
      if (byId.type !== undefined) return peel(oid, byId.type, (next) => this.#read(database, next));
      return wantsData ? this.#read(database, oid) : this.#info(database, oid);
    } catch (error) {
      return fallBackOnFailure(error);
    }
  }

  /** Keeps an object that the repository has, if it is small and the repository was read lately. */
  remember(repository: CommandRepository, object: RawObject): void {
    const database = this.#databases.get(directoriesKey(repository));
    if (database !== undefined && isParsable(object)) this.#small.add(database.generation, object);
  }

  /**
   * Lists the files that may hold an object: loose ones, which need not exist, and packs.
   *
   * @throws {FallBackToGit} when the repository cannot be read in process; the system's error.
   */
  filesWith(repository: CommandRepository, oid: Oid): Iterable<string> {
    return this.#open(repository).filesWith(oid);
  }

  /**
   * Returns where a pack has an object; `undefined` if it is loose or there is none.
   *
   * @throws {FallBackToGit} when it cannot be read in process; the system's error.
   */
  entryOf(repository: CommandRepository, oid: Oid): StoredEntry | undefined {
    return this.#open(repository).entryOf(oid);
  }

  /** Opens a pack by its path without `.pack`, for this iteration. @throws as {@link entryOf}. */
  pack(repository: CommandRepository, stem: string): Pack | undefined {
    return this.#open(repository).pack(stem);
  }

  /** Forgets a repository that was removed or moved, and closes its files. */
  forget({ path }: GitDirectory): void {
    for (const [key, database] of this.#databases) if (database.path === path) this.#databases.delete(key);
    for (const directory of this.#directories.values()) {
      if (directory.path.startsWith(`${path}/`)) this.#close(directory);
    }
  }

  /** Forgets one set of object directories: a quarantine that is removed. */
  release(repository: GitDirectory): void {
    this.#databases.delete(directoriesKey(repository));
    const own = this.#directories.get(repository.objectDirectory);
    if (own !== undefined) this.#close(own);
  }

  close(): void {
    clearInterval(this.#sweeper);
    this.#sweeper = undefined;
    for (const directory of this.#directories.values()) this.#close(directory);
    this.#databases.clear();
    this.#small.clear();
    this.#packs.clear();
  }

  #at(database: ObjectDatabase, revision: Buffer, wantsData: boolean): ObjectInfo | undefined {
    const place = parsePlace(revision);
    const colon = revision[OID_DIGITS.sha1] === COLON ? OID_DIGITS.sha1 : OID_DIGITS.sha256;
    const path = revision.subarray(colon + 1);
    if (place === undefined || !(path.length === 0 || isPlainPath(path)))
      throw new FallBackToGit('an unusual path');
    const read = (oid: Oid): RawObject => this.#read(database, oid);
    let object = peel(trustedOid(place.slice(0, colon)), 'tree', read);
    for (let start = 0; start < path.length; ) {
      const slash = path.indexOf(SLASH, start);
      const end = slash === -1 ? path.length : slash;
      const entry = object.type === 'tree' ? findInTree(object, path.subarray(start, end)) : undefined;
      if (entry === undefined) return undefined;
      start = end + 1;
      if (start > path.length && !wantsData) return this.#info(database, entry.oid);
      if (slash !== -1 && !isDirectory(entry.mode)) return undefined;
      object = read(entry.oid);
    }
    this.#small.addAt(database.generation, place, object);
    return object;
  }

  #info(database: ObjectDatabase, oid: Oid): ObjectInfo {
    const known = this.#small.get(database.generation, oid);
    if (known !== undefined) return known;
    const found = database.find(oid, false);
    if (found === undefined) throw new FallBackToGit('an object is not found');
    return { oid, type: found.type, size: found.size };
  }

  #read(database: ObjectDatabase, oid: Oid): RawObject {
    const known = this.#small.get(database.generation, oid);
    if (known !== undefined) return known;
    const found = database.find(oid, true);
    if (found === undefined) throw new FallBackToGit('an object is not found');
    const { type, size, data } = found;
    if (data === undefined) throw new FallBackToGit('an object is too large');
    const object = { oid, type, size, data };
    // It could otherwise be found by its type.
    if (!isParsable(object)) return object;
    return this.#small.add(database.generation, object);
  }

  /** A caller mostly reads many objects of one repository. */
  #keyOf(repository: CommandRepository): string {
    if (this.#lastKey.repository !== repository)
      this.#lastKey = { repository, key: directoriesKey(repository) };
    return this.#lastKey.key;
  }

  /** Returns the database of a repository that was read lately, and can be read now. */
  #known(repository: CommandRepository): ObjectDatabase | undefined {
    const database = this.#databases.get(this.#keyOf(repository));
    try {
      if (database !== undefined) this.#check(database, repository);
      return database;
    } catch (error) {
      // The read that follows reports it.
      if (!(error instanceof FallBackToGit) && systemErrorCode(error) === undefined) throw error;
      return undefined;
    }
  }

  #open(repository: CommandRepository): ObjectDatabase {
    const key = this.#keyOf(repository);
    const digits = OID_DIGITS[repository.objectFormat];
    const known = this.#databases.get(key);
    const database = known?.digits === digits ? known : new ObjectDatabase(repository, this.#directoryAt);
    if (database !== known) keep(this.#databases, key, database);
    this.#check(database, repository);
    this.#sweeper ??= setInterval(() => this.#sweep(), SWEEP_MS).unref();
    return database;
  }

  /** Brings a database up to date, once in an iteration of the event loop. */
  #check(database: ObjectDatabase, repository: CommandRepository): void {
    const number = this.iteration.begin();
    if (database.checkedIn === number) return;
    database.refresh(repository, this.#heads, performance.now());
    database.checkedIn = number;
  }

  readonly #directoryAt = (path: string, oidBytes: number): ObjectDirectory => {
    const known = this.#directories.get(path);
    const directory = known?.oidBytes === oidBytes ? known : new ObjectDirectory(path, this.#packs, oidBytes);
    if (directory !== known) {
      known?.close();
      const dropped = keep(this.#directories, path, directory);
      dropped?.close();
    }
    const number = this.iteration.begin();
    if (directory.checkedIn !== number) {
      directory.refresh();
      directory.checkedIn = number;
    }
    directory.lastUsedAt = performance.now();
    return directory;
  };

  #close(directory: ObjectDirectory): void {
    directory.close();
    this.#directories.delete(directory.path);
  }

  /** Drops entries that were not used for a while. */
  #sweep(): void {
    const oldest = performance.now() - IDLE_MS;
    for (const [key, { lastUsedAt }] of this.#databases) {
      if (lastUsedAt < oldest) this.#databases.delete(key);
    }
    for (const directory of this.#directories.values()) {
      if (directory.lastUsedAt < oldest) this.#close(directory);
    }
    if (this.#databases.size === 0 && this.#directories.size === 0) this.close();
  }
}

/** Adds an entry, and returns the oldest one if there are too many. */
function keep<V>(map: Map<string, V>, key: string, value: V): V | undefined {
  map.set(key, value);
  if (map.size <= MAX_KEPT) return undefined;
  for (const [oldest, dropped] of map) {
    map.delete(oldest);
    return dropped;
  }
  return undefined;
}
