import { loopTurn } from '#base/async/loop-turns';
import { invalidArgument } from '#base/gitaly-error';
import type { CommandRepository } from '../command/command-repository.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import { FallBackToGit } from '../command/in-process.ts';
import { abortError, GitExitError } from '../command/process/exit-error.ts';
import { cutPaddedOid, isOid, OID_DIGITS, type Oid, SHORT_OID_SOURCE } from '../names/object-id.ts';
import type { ObjectInfo, RawObject } from '../names/object-info.ts';
import type { CatFilePool } from './cat-file/cat-file-pool.ts';
import {
  type FoundObject,
  infoOf,
  Lookup,
  type LookupMode,
  type LookupObserver,
  rawObject,
} from './cat-file/lookup.ts';
import { READ_LIMITS } from './database/limits.ts';
import type { ObjectDatabases } from './database/object-databases.ts';
import { FoundCommit, peeledToCommit } from './found-commit.ts';
import { OpenedObject, type OpenObject } from './opened-object.ts';
import { PackEntries } from './pack-entries.ts';
import type { Mailmap } from './parse/mailmap.ts';
import { MAX_MAILMAP_BYTES, type MailmapCache } from './parse/mailmap-cache.ts';
import type { Commit } from './parse/parse-commit.ts';
import { parseTagInTurns, type Tag } from './parse/parse-tag.ts';
import {
  type InfoOf,
  infoMany,
  type NamedObject,
  type ObjectNames,
  type ObjectOf,
  type PieceOf,
  readMany,
  readPieces,
} from './read-many.ts';

/**
 * A name of an object: anything that git accepts for a single object (`main~3`, `v1.0^{tree}`,
 * `HEAD:README`), as unchanged bytes.
 */
export type Revision = string | Uint8Array;

/**
 * Options, which are read only when a wait is needed, so that a property that creates the signal is
 * not called unnecessarily.
 */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Options for objects that name people. */
export interface PeopleOptions extends ReadOptions {
  /**
   * Replaces names and addresses: by the mailmap of HEAD (default), not at all, or by the one that
   * {@link ObjectReader.mailmapFor} has returned.
   */
  readonly mailmap?: boolean | Promise<Mailmap | undefined>;
}

/** Limit of an object in memory, unless the caller sets another one. */
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

const PEEL_TAG = Buffer.from('^{tag}');
const MAILMAP = Buffer.from('HEAD:.mailmap');
const NO_MAILMAP = Promise.resolve(undefined);

/**
 * Matches the name of a reference, full or short, possibly peeled or with a path. Possible
 * abbreviated ids are left to git.
 */
const NOT_AN_OID = String.raw`(?!${SHORT_OID_SOURCE}(?:[\^:]|$))`;
const REFERENCE = new RegExp(
  String.raw`^${NOT_AN_OID}([A-Za-z0-9][^^~:@{}\\ *?[]*)(\^\{(?:commit|tree|blob|tag)\}|:.*)?$`,
  's',
);
const MAX_REFERENCE_BYTES = 300;

export interface ObjectReaderOptions {
  readonly pool: CatFilePool;
  readonly databases: ObjectDatabases;
  readonly mailmaps: MailmapCache;
  /** Notified of reads in process; the pool reports its own reads. */
  readonly observer?: LookupObserver | undefined;
  /** Returns the current id of a full or short reference name, if it is known without git. */
  readonly resolveName: (name: string) => string | undefined;
}

/**
 * Reads the objects of one repository, in process or through the shared cat-file processes. It is
 * cheap to create and holds nothing.
 */
export class ObjectReader {
  readonly #pool: CatFilePool;
  readonly #databases: ObjectDatabases;
  readonly #observer: LookupObserver | undefined;
  readonly #mailmaps: MailmapCache;
  readonly #resolveName: ObjectReaderOptions['resolveName'];
  readonly #repository: CommandRepository;

  constructor(
    repository: CommandRepository,
    { pool, databases, mailmaps, observer, resolveName }: ObjectReaderOptions,
  ) {
    this.#pool = pool;
    this.#databases = databases;
    this.#observer = observer;
    this.#mailmaps = mailmaps;
    this.#resolveName = resolveName;
    this.#repository = repository;
  }

  /** True if reads by id need no round trip to a process, unless only git can read the object. */
  get #isInProcess(): boolean {
    return this.#repository.inProcess.isEnabled;
  }

  /**
   * Returns id, type and size of a revision's object; `undefined` if there is no such object.
   *
   * @throws {GitalyError} INVALID_ARGUMENT `revision must not contain NUL bytes`; `read info line:
   *   EOF` when git dies of it.
   */
  async info(revision: Revision, options: ReadOptions = {}): Promise<ObjectInfo | undefined> {
    return await this.#look('info', revision, 0, options);
  }

  /**
   * Reads an object into memory; `undefined` if there is no such object.
   *
   * @throws as {@link info}; {GitalyError} RESOURCE_EXHAUSTED when it is bigger than `maxBytes`
   *   (default 64 MiB).
   */
  async readObject(
    revision: Revision,
    options: ReadOptions & { maxBytes?: number } = {},
  ): Promise<RawObject | undefined> {
    const found = await this.#look('whole', revision, options.maxBytes ?? DEFAULT_MAX_BYTES, options);
    return found && rawObject(found);
  }

  /**
   * Opens an object of any size; `undefined` if there is no such object. Small ones are read at
   * once, big ones are streamed. An abort of `signal` destroys the stream.
   *
   * @throws as {@link info}.
   */
  async openObject(revision: Revision, options: ReadOptions = {}): Promise<OpenObject | undefined> {
    const found = await this.#look('open', revision, 0, options);
    return found && new OpenedObject(found, options.signal);
  }

  /**
   * Returns the object of a revision that {@link snapshot} returned, where it is known without
   * waiting; `undefined` does not mean that there is none.
   */
  cached(snapshot: Buffer): RawObject | undefined {
    return this.#isInProcess ? this.#databases.cached(this.#repository, snapshot) : undefined;
  }

  /**
   * Reads an object by its id, possibly peeled, without a process in any case. Pauses like other
   * reads.
   *
   * @throws {FallBackToGit} when only git can read it, or report that it is missing.
   */
  async readInProcess(oid: string, { signal }: ReadOptions = {}): Promise<RawObject> {
    if (this.#databases.iteration.isOver) await loopTurn();
    if (signal?.aborted === true) throw abortError(signal);
    const found = isOid(oid)
      ? this.#readIdHere('whole', oid, DEFAULT_MAX_BYTES)
      : this.#readHere('whole', Buffer.from(oid, 'latin1'), DEFAULT_MAX_BYTES);
    if (found?.data === undefined) throw new FallBackToGit('an object is not found');
    const { type, size, data } = found;
    return { oid: found.oid, type, size, data };
  }

  /** Where packs have the repository's objects. */
  get entries(): PackEntries {
    return new PackEntries(this.#repository, this.#databases);
  }

  /** Keeps an object that was just written, if it is small, as if it had been read. */
  remember(object: RawObject): void {
    if (this.#isInProcess) this.#databases.remember(this.#repository, object);
  }

  /** Lists the files that may hold an object. @throws as `ObjectDatabases.filesWith`. */
  filesWith(oid: Oid): Iterable<string> {
    return this.#databases.filesWith(this.#repository, oid);
  }

  /**
   * Reads the commit of a revision, with tags peeled. Returns `undefined` if there is none. Costs
   * one round trip to a running process.
   *
   * @throws as {@link info}.
   */
  async readCommit(revision: Revision, options: PeopleOptions = {}): Promise<Commit | undefined> {
    return (await this.findCommit(revision, options))?.parsed;
  }

  /** Reads a commit like {@link readCommit}, without parsing it unless it is huge. */
  async findCommit(revision: Revision, options: PeopleOptions = {}): Promise<FoundCommit | undefined> {
    const wanted = peeledToCommit(bytesOf(revision));
    const mailmap = this.mailmapFor(options);
    const found = await this.#look('whole', wanted, DEFAULT_MAX_BYTES, options);
    if (found?.data === undefined) return undefined;
    const commit = new FoundCommit(rawObject(found), await mailmap);
    if (commit.isHuge) await commit.parse();
    return commit;
  }

  /** Reads a tag object (not its target). */
  async readTag(revision: Revision, options: PeopleOptions = {}): Promise<Tag | undefined> {
    const wanted = Buffer.concat([bytesOf(revision), PEEL_TAG]);
    const mailmap = this.mailmapFor(options);
    const found = await this.#look('whole', wanted, DEFAULT_MAX_BYTES, options);
    if (found?.data === undefined) return undefined;
    return await parseTagInTurns(found.oid, found.data, await mailmap);
  }

  /**
   * Reads many objects whole, named by full ids, in the order of the source and in batches as git
   * prints them: a history's commits, small blobs. Costs a process; for a few objects, use
   * concurrent single reads.
   *
   * @see read-many.ts
   */
  readMany<T extends NamedObject>(
    source: ObjectNames<T>,
    options: ReadOptions & { maxBytes?: number } = {},
  ): AsyncGenerator<ObjectOf<T>[]> {
    return readMany(this.#pool, this.#repository, source, options);
  }

  /** Reads only ids, types and sizes, like {@link readMany}. */
  infoMany<T extends NamedObject>(
    source: ObjectNames<T>,
    options: ReadOptions = {},
  ): AsyncGenerator<InfoOf<T>[]> {
    return infoMany(this.#pool, this.#repository, source, options);
  }

  /** Reads objects of any size in pieces, like {@link readMany}, without buffering them. */
  readPieces<T extends NamedObject>(
    source: ObjectNames<T>,
    options: ReadOptions = {},
  ): AsyncGenerator<PieceOf<T>[]> {
    return readPieces(this.#pool, this.#repository, source, options);
  }

  async #look(
    mode: LookupMode,
    name: Revision,
    maxBytes: number,
    options: ReadOptions,
  ): Promise<FoundObject | undefined> {
    if (typeof name === 'string' && isOid(name)) return await this.#lookById(mode, name, maxBytes, options);
    const revision = bytesOf(name);
    if (revision.includes(0)) throw invalidArgument('revision must not contain NUL bytes');
    const snapshot = this.snapshot(revision);
    const known = this.cached(snapshot);
    if (known !== undefined) return mode === 'info' ? infoOf(known) : known;

    const { signal } = options;
    if (signal?.aborted === true) throw abortError(signal);
    const whole = snapshot.length > OID_DIGITS.sha1 ? this.#cutId(snapshot) : snapshot;
    const askGit = (): Promise<FoundObject | undefined> => this.#askCatFile(mode, whole, maxBytes, signal);
    if (!this.#databases.isSupported(whole)) return await askGit();
    // A caller that reads many objects would not let any other call continue.
    if (this.#databases.iteration.isOver) await loopTurn();
    return await this.#repository.inProcess.attempt(
      'read_object',
      () => this.#readHere(mode, whole, maxBytes),
      askGit,
    );
  }

  async #lookById(
    mode: LookupMode,
    oid: Oid,
    maxBytes: number,
    options: ReadOptions,
  ): Promise<FoundObject | undefined> {
    const known = this.#isInProcess ? this.#databases.cachedById(this.#repository, oid) : undefined;
    if (known !== undefined) return mode === 'info' ? infoOf(known) : known;
    const { signal } = options;
    if (signal?.aborted === true) throw abortError(signal);
    if (this.#databases.iteration.isOver) await loopTurn();
    return await this.#repository.inProcess.attempt<FoundObject | undefined>(
      'read_object',
      () => this.#readIdHere(mode, oid, maxBytes),
      () => this.#askCatFile(mode, this.#cutId(Buffer.from(oid, 'latin1')), maxBytes, signal),
    );
  }

  /** Reads an object in process, and counts it. @throws {FallBackToGit} when only git can. */
  #readHere(mode: LookupMode, revision: Buffer, maxBytes: number): FoundObject | undefined {
    const found = this.#databases.find(this.#repository, revision, mode !== 'info');
    return this.#counted(mode, found, maxBytes);
  }

  /** As {@link #readHere}, by an id. */
  #readIdHere(mode: LookupMode, oid: Oid, maxBytes: number): FoundObject | undefined {
    return this.#counted(mode, this.#databases.findById(this.#repository, oid, mode !== 'info'), maxBytes);
  }

  #counted(mode: LookupMode, found: FoundObject | undefined, maxBytes: number): FoundObject | undefined {
    if (mode === 'whole' && found !== undefined && found.size > maxBytes)
      throw new FallBackToGit('an object is too large');
    this.#observer?.(mode)?.();
    return mode === 'info' && found !== undefined ? infoOf(found) : found;
  }

  async #askCatFile(
    mode: LookupMode,
    revision: Buffer,
    maxBytes: number,
    signal: AbortSignal | undefined,
  ): Promise<FoundObject | undefined> {
    if (mode === 'open') return await this.#openByCatFile(revision, signal);
    const wanted = this.#fitsOnALine(revision) ? revision : await this.#resolve(revision, signal);
    if (wanted === undefined) return undefined;
    const lookup = new Lookup(mode, wanted, maxBytes);
    if (lookup.isDifficult) this.#pool.submitAlone(this.#repository, lookup, signal);
    else this.#pool.submit(this.#repository, lookup);
    if (signal === undefined) return await lookup.answer;
    const onAbort = (): void => lookup.reject(abortError(signal));
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await lookup.answer;
    } finally {
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Reads a small object, and opens a big one, which may be read slowly. */
  async #openByCatFile(revision: Buffer, signal: AbortSignal | undefined): Promise<FoundObject | undefined> {
    const info = await this.info(revision, { signal });
    if (info === undefined) return undefined;
    if (info.size > READ_LIMITS.objectBytes)
      return await this.#pool.stream(this.#repository, info.oid, signal);
    return await this.#askCatFile('whole', Buffer.from(info.oid), READ_LIMITS.objectBytes, signal);
  }

  /**
   * Returns a revision with the id that its reference holds now in place of the reference's name,
   * where that is known without git. Several reads of the result see the same commit, and may be
   * cached.
   */
  snapshot(revision: Buffer): Buffer {
    if (revision.length > MAX_REFERENCE_BYTES) return revision;
    const [, name, rest = ''] = REFERENCE.exec(revision.toString('latin1')) ?? [];
    if (name === undefined) return revision;
    const oid = this.#resolveName(name);
    return oid === undefined ? revision : Buffer.from(oid + rest, 'latin1');
  }

  /**
   * Removes the zeros after an id. Newer versions of git store short ids in the space of long ones,
   * so they accept such an id; this makes all versions equal.
   */
  #cutId(revision: Buffer): Buffer {
    const cut = cutPaddedOid(revision.toString('latin1'));
    if (cut === undefined || this.#repository.objectFormat !== 'sha1') return revision;
    return Buffer.from(cut, 'latin1');
  }

  /**
   * Reports whether a process that reads lines receives the revision unchanged (git drops a
   * carriage return before the line feed).
   */
  #fitsOnALine(revision: Buffer): boolean {
    return (
      this.#repository.git.capabilities.catFileNul || !(revision.includes(0x0a) || revision.at(-1) === 0x0d)
    );
  }

  /** Resolves a revision to its id with a separate git. */
  async #resolve(revision: Buffer, signal: AbortSignal | undefined): Promise<Buffer | undefined> {
    if (revision[0] === 0x2d) return undefined;
    try {
      const command = gitCommand('rev-parse', {
        options: [flag('--quiet'), flag('--verify')],
        revisions: [revision],
      });
      return (await this.#repository.run(command, { signal })).subarray(0, -1);
    } catch (error) {
      if (error instanceof GitExitError && error.signal === undefined) return undefined;
      throw error;
    }
  }

  /** Returns the mailmap of these options for many reads: each search for it reads HEAD. */
  mailmapFor({ mailmap = true }: PeopleOptions): Promise<Mailmap | undefined> {
    if (mailmap === true) return this.mailmap();
    return mailmap === false ? NO_MAILMAP : mailmap;
  }

  /**
   * Returns the mailmap of HEAD. Its id is requested in the same write as the commit, its contents
   * only when they are new.
   */
  mailmap(): Promise<Mailmap | undefined> {
    const mailmap = this.#readMailmap();
    // A caller whose commit cannot be read does not await this promise; its rejection must not end
    // the server.
    mailmap.catch(() => undefined);
    return mailmap;
  }

  async #readMailmap(): Promise<Mailmap | undefined> {
    const oid = await this.#mailmapId();
    if (oid === undefined) return undefined;
    const known = this.#mailmaps.get(oid);
    if (known !== undefined) return known;
    const { data } = (await this.readObject(oid, { maxBytes: MAX_MAILMAP_BYTES })) ?? {};
    return data && (await this.#mailmaps.add(oid, data));
  }

  /** Returns the id of HEAD's mailmap; `undefined` if there is none, or a directory or a huge file. */
  async #mailmapId(): Promise<string | undefined> {
    const place = this.snapshot(MAILMAP);
    const isFixed = place !== MAILMAP && this.#isInProcess;
    const known = isFixed ? this.#mailmaps.idAt(place) : undefined;
    if (known !== undefined) return known.oid;
    // git continues without an unreadable mailmap.
    const read = isFixed
      ? this.info(place).catch(() => 'unreadable' as const)
      : this.#pool.mailmapInfo(this.#repository);
    const found = await read;
    if (found === 'unreadable') return undefined;
    const oid = found?.type === 'blob' && found.size <= MAX_MAILMAP_BYTES ? found.oid : undefined;
    if (isFixed) this.#mailmaps.setIdAt(place, oid);
    return oid;
  }
}

function bytesOf(revision: Revision): Buffer {
  if (typeof revision === 'string') return Buffer.from(revision);
  return Buffer.from(revision.buffer, revision.byteOffset, revision.byteLength);
}
