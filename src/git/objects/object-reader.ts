import { Readable } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import { abortError, GitExitError } from '../command/exit-error.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import type { CatFilePool } from './cat-file-pool.ts';
import { type Found, Lookup, type LookupMode } from './lookup.ts';
import type { Mailmap } from './mailmap.ts';
import { MAX_MAILMAP_BYTES, type MailmapCache } from './mailmap-cache.ts';
import type { ObjectInfo, RawObject } from './object-info.ts';
import { type Commit, parseCommit } from './parse-commit.ts';
import { parseTag, type Tag } from './parse-tag.ts';
import { parseTrailers, type Trailer } from './parse-trailers.ts';
import {
  type InfoOf,
  infoMany,
  type NamedObject,
  type ObjectOf,
  type PieceOf,
  readMany,
  readPieces,
  type Source,
} from './read-many.ts';

/** What names an object: anything that git takes for a single object (`main~3`, `v1.0^{tree}`, `HEAD:README`), bytes as they are. */
export type Revision = string | Uint8Array;

/** Looked at only when there is something to wait for, so that a property that makes the signal is not asked in vain. */
export interface ReadOptions {
  readonly signal?: AbortSignal | undefined;
}

/** An object that is open for reading. */
export interface OpenObject extends ObjectInfo {
  /** The whole contents when they are small; then `stream` is not needed. */
  readonly data: Buffer | undefined;
  /** The contents. Reading slowly slows git down; it must be read to its end or destroyed. Asking for it twice gives the same. */
  readonly stream: Readable;
}

/** More than this is not read into memory unless the caller says so. */
const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;

const PEEL_COMMIT = Buffer.from('^{commit}');
const PEEL_TAG = Buffer.from('^{tag}');

/**
 * Revisions that get a process of their own: git dies of them (relative paths, reflog entries and upstreams that are not there), or
 * searches the whole history (`:/text`, `^{/text}`), and nobody else is to suffer from either.
 */
const DIFFICULT = /@\{|\^\{\/|^:\/|:(?:[0-3]:)?\.\.?(?:\/|$)/;

/** The shorter kind of id and zeros, up to the length of the longer kind, alone or peeled. */
const ID_AND_ZEROS = /^([0-9a-fA-F]{40})0{1,24}(\^\{[a-z]*\})?$/;

/** The name of a reference, full or short, perhaps peeled or with a path. What may be the beginning of an id is left to git. */
const REFERENCE = /^(?![0-9a-fA-F]{4,}(?:[\^:]|$))([A-Za-z0-9][^^~:@{}\\ *?[]*)(\^\{(?:commit|tree|blob|tag)\}|:.*)?$/s;
const MAX_REFERENCE_BYTES = 300;

/** Reads the objects of one repository through the shared cat-file processes. Cheap to make; holds nothing. */
export class ObjectReader {
  readonly #git: Git;
  readonly #pool: CatFilePool;
  readonly #mailmaps: MailmapCache;
  readonly #repository: GitRepository;

  constructor(git: Git, pool: CatFilePool, mailmaps: MailmapCache, repository: GitRepository) {
    this.#git = git;
    this.#pool = pool;
    this.#mailmaps = mailmaps;
    this.#repository = repository;
  }

  /**
   * Id, type and size of what a revision names; `undefined` when there is no such object.
   *
   * @throws {GitalyError} INVALID_ARGUMENT `revision must not contain NUL bytes`; `read info line: EOF` when git dies of it.
   */
  async info(revision: Revision, options: ReadOptions = {}): Promise<ObjectInfo | undefined> {
    return await this.#look('info', bytesOf(revision), 0, options);
  }

  /**
   * Reads an object into memory; `undefined` when there is no such object.
   *
   * @throws as {@link info}; {GitalyError} RESOURCE_EXHAUSTED when it is bigger than `maxBytes` (default 64 MiB).
   */
  async readObject(revision: Revision, options: ReadOptions & { maxBytes?: number } = {}): Promise<RawObject | undefined> {
    const found = await this.#look('whole', bytesOf(revision), options.maxBytes ?? DEFAULT_MAX_BYTES, options);
    return found && { oid: found.oid, type: found.type, size: found.size, data: found.data ?? Buffer.alloc(0) };
  }

  /**
   * Opens an object of any size; `undefined` when there is no such object. Small ones are read at once, big ones flow as they are
   * read. An abort of `signal` destroys the stream.
   *
   * @throws as {@link info}.
   */
  async openObject(revision: Revision, options: ReadOptions = {}): Promise<OpenObject | undefined> {
    const found = await this.#look('open', bytesOf(revision), 0, options);
    if (found === undefined) return undefined;
    if (found.stream !== undefined && options.signal !== undefined) destroyOnAbort(found.stream, options.signal);
    return new OpenedObject(found);
  }

  /** The object that a {@link pin}ned revision names, where it is known without waiting; `undefined` does not mean that there is none. */
  atHand(pinned: Buffer): RawObject | undefined {
    const found = this.#pool.atHand(this.#repository, pinned);
    return found !== undefined && isWhole(found) ? found : undefined;
  }

  /**
   * Reads the commit that a revision leads to, tags peeled, with `.mailmap` of HEAD applied unless told otherwise. `undefined` when
   * there is none. Costs one round trip to a living process.
   *
   * @throws as {@link info}.
   */
  async readCommit(revision: Revision, options: ReadOptions & { mailmap?: boolean } = {}): Promise<Commit | undefined> {
    const wanted = Buffer.concat([bytesOf(revision), PEEL_COMMIT]);
    const mailmap = options.mailmap === false ? undefined : this.mailmap();
    const found = await this.#look('whole', wanted, DEFAULT_MAX_BYTES, options);
    if (found?.data === undefined) return undefined;
    return parseCommit(found.oid, found.data, await mailmap);
  }

  /** Reads a tag object (not what it points to), with `.mailmap` applied as in {@link readCommit}. */
  async readTag(revision: Revision, options: ReadOptions & { mailmap?: boolean } = {}): Promise<Tag | undefined> {
    const wanted = Buffer.concat([bytesOf(revision), PEEL_TAG]);
    const mailmap = options.mailmap === false ? undefined : this.mailmap();
    const found = await this.#look('whole', wanted, DEFAULT_MAX_BYTES, options);
    if (found?.data === undefined) return undefined;
    return parseTag(found.oid, found.data, await mailmap);
  }

  /**
   * The trailers of a commit, by git's own rules and the repository's `trailer.*` settings. A message without a colon has none, so
   * git is not started for it.
   */
  async readTrailers(commit: Commit, { signal }: ReadOptions = {}): Promise<Trailer[]> {
    if (!commit.body.includes(':')) return [];
    const format = '--format=%(trailers:unfold,separator=%x00)';
    const show = gitCommand('show', { options: [flag(format), flag('--no-patch')], revisions: [commit.oid] });
    const output = await this.#git.run(show, { repository: this.#repository, signal });
    return parseTrailers(output.at(-1) === 0x0a ? output.subarray(0, -1) : output);
  }

  /**
   * Reads many objects whole, named by full ids, in the order of the source and in batches as git prints them: a history's commits, small
   * blobs. Costs a process; for a handful of objects ask for each, all at once.
   *
   * @see read-many.ts
   */
  readMany<T extends NamedObject>(
    source: Source<T>,
    options: ReadOptions & { maxBytes?: number } = {},
  ): AsyncGenerator<ObjectOf<T>[]> {
    return readMany(this.#pool, this.#repository, source, options);
  }

  /** As {@link readMany}, only ids, types and sizes. */
  infoMany<T extends NamedObject>(source: Source<T>, options: ReadOptions = {}): AsyncGenerator<InfoOf<T>[]> {
    return infoMany(this.#pool, this.#repository, source, options);
  }

  /** As {@link readMany}, in pieces, for objects of any size: nothing is held. */
  readPieces<T extends NamedObject>(source: Source<T>, options: ReadOptions = {}): AsyncGenerator<PieceOf<T>[]> {
    return readPieces(this.#pool, this.#repository, source, options);
  }

  async #look(mode: LookupMode, revision: Buffer, maxBytes: number, options: ReadOptions): Promise<Found | undefined> {
    if (revision.includes(0)) throw new GitalyError('INVALID_ARGUMENT', 'revision must not contain NUL bytes');
    const pinned = this.pin(revision);
    const known = this.#pool.atHand(this.#repository, pinned);
    if (known !== undefined) return mode === 'info' ? { oid: known.oid, type: known.type, size: known.size } : known;

    const { signal } = options;
    if (signal?.aborted === true) throw abortError(signal);
    const whole = pinned.length > 40 ? this.#cutId(pinned) : pinned;
    const wanted = this.#fitsOnALine(whole) ? whole : await this.#resolve(whole, signal);
    if (wanted === undefined) return undefined;
    const lookup = new Lookup(mode, wanted, maxBytes);
    if (DIFFICULT.test(wanted.toString('latin1'))) this.#pool.submitAlone(this.#repository, lookup, signal);
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

  /**
   * A revision with the id that its reference holds now in place of the reference's name, where that can be told without git: what is then
   * asked of it, more than once perhaps, is of one and the same commit, and may be at hand.
   */
  pin(revision: Buffer): Buffer {
    if (revision.length > MAX_REFERENCE_BYTES) return revision;
    const [, name, rest = ''] = REFERENCE.exec(revision.toString('latin1')) ?? [];
    if (name === undefined) return revision;
    const resolved = this.#git.refs(this.#repository).resolveShortNow(name);
    return resolved === undefined ? revision : Buffer.from(resolved.oid + rest, 'latin1');
  }

  /** Newer versions of git keep short ids in the space of long ones, so that one is found with zeros behind it; and so it is with all. */
  #cutId(revision: Buffer): Buffer {
    const [, id, peel = ''] = ID_AND_ZEROS.exec(revision.toString('latin1')) ?? [];
    if (id === undefined || this.#git.objectFormat(this.#repository) !== 'sha1') return revision;
    return Buffer.from(id + peel, 'latin1');
  }

  /** Whether a process that reads lines gets the revision as it is (git drops a carriage return before the line feed). */
  #fitsOnALine(revision: Buffer): boolean {
    return this.#git.capabilities.catFileNul || !(revision.includes(0x0a) || revision.at(-1) === 0x0d);
  }

  /** The id of what a revision names, from a git of its own. */
  async #resolve(revision: Buffer, signal: AbortSignal | undefined): Promise<Buffer | undefined> {
    if (revision[0] === 0x2d) return undefined;
    try {
      const command = gitCommand('rev-parse', { options: [flag('--quiet'), flag('--verify')], revisions: [revision] });
      return (await this.#git.run(command, { repository: this.#repository, signal })).subarray(0, -1);
    } catch (error) {
      if (error instanceof GitExitError && error.signal === undefined) return undefined;
      throw error;
    }
  }

  /** The mailmap of HEAD, for commits that were read with {@link readMany}; its id is asked for in the same write as the commit, its contents only when they are new. */
  async mailmap(): Promise<Mailmap | undefined> {
    const found = await this.#pool.mailmapInfo(this.#repository);
    if (found?.type !== 'blob' || found.size > MAX_MAILMAP_BYTES) return undefined;
    const known = this.#mailmaps.get(found.oid);
    if (known !== undefined) return known;
    const blob = new Lookup('whole', Buffer.from(found.oid), MAX_MAILMAP_BYTES);
    this.#pool.submit(this.#repository, blob);
    const { data } = (await blob.answer) ?? {};
    return data && this.#mailmaps.add(found.oid, data);
  }
}

function isWhole(found: Found): found is Found & RawObject {
  return found.data !== undefined;
}

/** An object whose stream is made only when someone asks for it. */
export class OpenedObject implements OpenObject {
  readonly oid: string;
  readonly type: ObjectInfo['type'];
  readonly size: number;
  readonly data: Buffer | undefined;
  #stream: Readable | undefined;

  constructor({ oid, type, size, data, stream }: Found) {
    this.oid = oid;
    this.type = type;
    this.size = size;
    this.data = data;
    this.#stream = stream;
    // An abort may destroy the stream before anyone listens; whoever reads it sees the error all the same.
    stream?.on('error', () => {});
  }

  get stream(): Readable {
    this.#stream ??= Readable.from(this.data === undefined || this.data.length === 0 ? [] : [this.data], {
      objectMode: false,
    });
    return this.#stream;
  }
}

function bytesOf(revision: Revision): Buffer {
  if (typeof revision === 'string') return Buffer.from(revision);
  return Buffer.from(revision.buffer, revision.byteOffset, revision.byteLength);
}

function destroyOnAbort(stream: Readable, signal: AbortSignal): void {
  const onAbort = (): void => void stream.destroy(abortError(signal));
  if (signal.aborted) onAbort();
  else {
    signal.addEventListener('abort', onAbort, { once: true });
    stream.once('close', () => signal.removeEventListener('abort', onAbort));
  }
}
