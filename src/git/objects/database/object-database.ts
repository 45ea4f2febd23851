import { statSync } from 'node:fs';
import { type FileStamp, stampOf } from '#base/files/file-stamp';
import type { CommandRepository } from '#git/command/command-repository';
import { FallBackToGit } from '#git/command/in-process';
import { EMPTY_TREE, OID_DIGITS, OID_SOURCE, type Oid } from '#git/names/object-id';
import { withAlternates } from '#git/repository-files/alternates-file';
import type { HeadFiles } from '#git/repository-files/head-files';
import type { DirectoryObject, ObjectDirectory, StoredEntry } from './object-directory.ts';
import type { Pack } from './pack.ts';
import { readShallowFile } from './shallow-file.ts';

/**
 * Age at which small objects are read again in any case: loose ones may have been pruned, which
 * changes no directory that is watched. A `cat-file` is replaced at this age, too.
 */
const MAX_AGE_MS = 5 * 60_000;

const HEAD = new RegExp(`^(?:ref: refs/[^\n]+|${OID_SOURCE})\n?$`);

let lastGeneration = 0;

/** Returns the state of an object directory, up to date in this iteration of the event loop. */
export type DirectoryAt = (path: string, oidBytes: number) => ObjectDirectory;

/** The objects of one repository, in its own directory and those that it borrows from. */
export class ObjectDatabase {
  readonly path: string;
  readonly objectDirectory: string;
  /** Changes when objects may have disappeared. Never reused. */
  generation = ++lastGeneration;
  /** The turn in which it was checked. */
  checkedIn = 0;
  lastUsedAt = 0;
  readonly #alternates: readonly string[];
  /** Hexadecimal digits of an id. */
  readonly digits: number;
  readonly #directoryAt: DirectoryAt;
  #directories: readonly ObjectDirectory[] = [];
  #versions = '';
  #bornAt = 0;
  #headStamp: FileStamp | undefined;
  #hasPlainHead = false;
  #hasSoundShallow = false;

  constructor(
    { path, objectDirectory, alternateObjectDirectories, objectFormat }: CommandRepository,
    directoryAt: DirectoryAt,
  ) {
    this.path = path;
    this.objectDirectory = objectDirectory;
    this.#alternates = alternateObjectDirectories;
    this.digits = OID_DIGITS[objectFormat];
    this.#directoryAt = directoryAt;
  }

  /**
   * Checks the files again.
   *
   * @throws {FallBackToGit} when git may refuse the repository; the system's error.
   */
  refresh(repository: CommandRepository, heads: HeadFiles, now: number): void {
    this.lastUsedAt = now;
    if (!repository.format.isPlain) throw new FallBackToGit('the config file is unusual');
    this.#checkHead(heads);
    const at = (path: string): ObjectDirectory => this.#directoryAt(path, this.digits / 2);
    if (!at(this.objectDirectory).exists) throw new FallBackToGit('there are no objects');
    const own = [this.objectDirectory, ...this.#alternates];
    this.#directories = withAlternates(own, (path) => at(path).alternates).map(at);
    const versions = this.#directories.map(({ id, version }) => `${id}.${version}`).join(' ');
    const isNew = versions !== this.#versions || now - this.#bornAt >= MAX_AGE_MS;
    if (isNew || !this.#hasSoundShallow) this.#checkShallow(repository);
    if (!isNew) return;
    this.#versions = versions;
    this.#bornAt = now;
    this.generation = ++lastGeneration;
  }

  /** git refuses a directory whose HEAD file is malformed. */
  #checkHead(heads: HeadFiles): void {
    const head = `${this.path}/HEAD`;
    const stats = statSync(head);
    const stamp = stampOf(stats);
    if (stamp !== this.#headStamp) {
      this.#hasPlainHead = HEAD.test(heads.read(head, stats).toString('latin1'));
      this.#headStamp = stamp;
    }
    if (!this.#hasPlainHead) throw new FallBackToGit('HEAD is unusual');
  }

  /**
   * Git refuses to read commits where `shallow` is damaged. Not checked in every turn: a `cat-file`
   * reads it once, too.
   */
  #checkShallow(repository: CommandRepository): void {
    this.#hasSoundShallow = false;
    readShallowFile(repository);
    this.#hasSoundShallow = true;
  }

  /**
   * Reads an object, or only its type and size.
   *
   * @returns `undefined` if there is none: git may know better, for example where to fetch it.
   * @throws {FallBackToGit} when it cannot be read in process; the system's error.
   */
  find(oid: Oid, wantsData: boolean): DirectoryObject | undefined {
    if (oid.length !== this.digits) throw new FallBackToGit('an id of another format');
    if (oid === EMPTY_TREE.sha1 || oid === EMPTY_TREE.sha256) return EMPTY;
    const name = Buffer.from(oid, 'hex');
    for (const directory of this.#directories) {
      const found = directory.findPacked(name, wantsData);
      if (found !== undefined) return found;
    }
    for (const directory of this.#directories) {
      const found = directory.findLoose(oid);
      if (found !== undefined) return found;
    }
    return undefined;
  }

  /** Returns where a pack has an object. @throws as {@link find}. */
  entryOf(oid: Oid): StoredEntry | undefined {
    const name = Buffer.from(oid, 'hex');
    for (const directory of this.#directories) {
      const entry = directory.entryOf(name);
      if (entry !== undefined) return entry;
    }
    return undefined;
  }

  /** Opens a pack by its path without `.pack`. @throws as {@link find}. */
  pack(stem: string): Pack | undefined {
    for (const directory of this.#directories) {
      const pack = directory.pack(stem);
      if (pack !== undefined) return pack;
    }
    return undefined;
  }

  /** Lists the files that may hold an object. @throws as {@link find}. */
  *filesWith(oid: Oid): Generator<string, void> {
    for (const directory of this.#directories) yield* directory.filesWith(oid);
  }
}

const EMPTY: DirectoryObject = { type: 'tree', size: 0, data: Buffer.alloc(0) };
