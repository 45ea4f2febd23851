import { LoopSlice } from '#base/async/loop-turns';
import type { Oid } from '#git/names/object-id';
import type { ObjectType } from '#git/names/object-info';
import type { GitRepository } from '#git/repository';
import { isQuarantined } from '#git/repository-files/git-directory';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { formatTree, type NewTreeEntry } from './format-tree.ts';
import { hashObject, hashObjectInTurns } from './object-hash.ts';
import { PackWriter } from './pack-writer.ts';
import { StoredObjects } from './stored-objects.ts';
import { streamLoose, TempObject, writeAll, writeLoose } from './write-loose.ts';

/** Bigger blobs are written through a file. */
const MAX_BLOB_IN_MEMORY = 1024 * 1024;
/**
 * Number of objects beyond which they are written to one pack: one flush to disk instead of
 * thousands. As git's `transfer.unpackLimit`.
 */
const MAX_LOOSE = 100;
/** Limit of concurrent writes and their bytes. */
const MAX_RUNNING = 8;
const MAX_RUNNING_BYTES = 8 * 1024 * 1024;

export interface ObjectWriterOptions {
  /**
   * Keeps up to this many bytes of objects in memory until {@link ObjectWriter.finish}, so that a
   * small change that fails has written nothing. Default 0.
   */
  readonly holdBytes?: number;
}

interface PlainObject {
  readonly oid: Oid;
  readonly type: ObjectType;
  readonly data: Uint8Array;
}

/**
 * Writes objects into a repository's object directory (its quarantine, if it has one) without
 * starting git. Ids and files are git's; data and names are flushed as `core.fsync=objects`
 * requires. An object that the repository or one of its alternates has is not written again; its
 * time is updated.
 *
 * `write` returns the id as soon as it is known and there is space, and the file is written in the
 * background; nothing may refer to the objects before {@link finish} resolves. Disposing waits for
 * running writes.
 *
 *     await using writer = new ObjectWriter(quarantine.repository, 'sha1');
 *     const oid = await writer.write('blob', data);
 *     const tree = await writer.writeTree([{ mode: 0o100644, name: Buffer.from('README'), oid }]);
 *     await writer.finish();
 *
 * Contents are not checked; the caller is responsible for them (`git hash-object` would check).
 */
export class ObjectWriter implements AsyncDisposable {
  readonly objectFormat: ObjectFormatName;
  readonly #holdBytes: number;
  #repository: GitRepository;
  /** Objects that are still in memory; `undefined` once anything was written. */
  #held: PlainObject[] | undefined = [];
  #heldBytes = 0;
  /** Objects that were in memory, once they are written. */
  #written: readonly PlainObject[] = [];
  readonly #running = new Set<Promise<void>>();
  readonly #oids = new Set<string>();
  #runningBytes = 0;
  #stored: StoredObjects | undefined;
  #newObjects = 0;
  #pack: PackWriter | undefined;
  #failure: { readonly error: unknown } | undefined;
  readonly #slice = new LoopSlice();

  constructor(
    repository: GitRepository,
    objectFormat: ObjectFormatName,
    { holdBytes = 0 }: ObjectWriterOptions = {},
  ) {
    this.#repository = repository;
    this.objectFormat = objectFormat;
    this.#holdBytes = holdBytes;
  }

  /**
   * Writes an object from memory, which must not change before {@link finish}.
   * @returns its id.
   */
  async write(type: ObjectType, data: Uint8Array): Promise<Oid> {
    // Thousands of small objects may be hashed, and found, without waiting for anything.
    if (this.#slice.isOverAfterItem()) await this.#slice.pause();
    this.#rethrow();
    const oid =
      data.length <= MAX_BLOB_IN_MEMORY
        ? hashObject(this.objectFormat, type, data)
        : await hashObjectInTurns(this.objectFormat, type, data);
    if (this.#oids.has(oid)) return oid;
    this.#oids.add(oid);
    if (
      this.#held !== undefined &&
      this.#oids.size <= MAX_LOOSE &&
      this.#heldBytes + data.length <= this.#holdBytes
    ) {
      this.#held.push({ oid, type, data });
      this.#heldBytes += data.length;
      return oid;
    }
    await this.#writeHeld();
    await this.#write({ oid, type, data });
    return oid;
  }

  /** Reports whether a blob in memory is one that is looked for. */
  holds(isWanted: (data: Uint8Array) => boolean): boolean {
    return this.#held?.some(({ data, type }) => type === 'blob' && isWanted(data)) ?? false;
  }

  /**
   * Writes to another repository if nothing was written yet: a caller for which no check is needed
   * does not need a quarantine for small changes. Reports whether that is so. Then there is nothing
   * to dispose, and {@link finish} may be called later, or never.
   */
  redirect(repository: GitRepository): boolean {
    if (this.#held === undefined) return false;
    this.#repository = repository;
    return true;
  }

  /**
   * Makes objects that were in memory known as read ones, so that the next call, which often reads
   * them, finds them there. They are in the repository now.
   */
  remember({ objects }: GitRepository): void {
    for (const { oid, type, data } of this.#written) {
      const { buffer, byteOffset, length } = data;
      objects.remember({ oid, type, size: length, data: Buffer.from(buffer, byteOffset, length) });
    }
  }

  /** Writes a tree. @throws {Error} as {@link formatTree}. */
  async writeTree(entries: readonly NewTreeEntry[]): Promise<Oid> {
    return await this.write('tree', formatTree(entries));
  }

  /**
   * Writes a blob of any size. Up to 1 MiB is kept in memory; more is first written to a temporary
   * file, because an id depends on the length.
   */
  async writeBlob(content: AsyncIterable<Uint8Array>): Promise<Oid> {
    const iterator = content[Symbol.asyncIterator]();
    try {
      const pieces: Uint8Array[] = [];
      let bytes = 0;
      for (;;) {
        const next = await iterator.next();
        if (next.done === true) return await this.write('blob', Buffer.concat(pieces, bytes));
        pieces.push(next.value);
        bytes += next.value.length;
        if (bytes > MAX_BLOB_IN_MEMORY) return await this.#spool(pieces, iterator);
      }
    } finally {
      await iterator.return?.();
    }
  }

  /**
   * Resolves when everything is on disk. The writer can be used further. @throws the error of the
   * first failed write.
   */
  async finish(): Promise<void> {
    await this.#writeHeld();
    await this.#settle();
    this.#rethrow();
    const pack = this.#pack;
    this.#pack = undefined;
    await using done = pack;
    await done?.finish();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#settle();
    await this.#pack?.[Symbol.asyncDispose]();
  }

  async #writeHeld(): Promise<void> {
    const held = this.#held ?? [];
    this.#held = undefined;
    if (held.length > 0) this.#written = held;
    for (const object of held) await this.#write(object);
  }

  /** Reports whether an object exists. Until the first one is written, the repository may change. */
  #isStored(oid: Oid): boolean {
    this.#stored ??= new StoredObjects(withoutQuarantine(this.#repository).objects);
    return this.#stored.freshen(oid);
  }

  async #write(object: PlainObject): Promise<void> {
    if (this.#isStored(object.oid)) return;
    const bytes = object.data.length;
    while (
      this.#running.size >= MAX_RUNNING ||
      (this.#running.size > 0 && this.#runningBytes + bytes > MAX_RUNNING_BYTES)
    ) {
      await Promise.race(this.#running);
    }
    this.#rethrow();
    const { objectDirectory } = this.#repository;
    if (++this.#newObjects <= MAX_LOOSE) {
      const isQuarantine = isQuarantined(this.#repository);
      this.#start(writeLoose({ objectDirectory, isQuarantine }, object), bytes);
    } else {
      this.#pack ??= new PackWriter(objectDirectory, this.objectFormat);
      this.#start(this.#pack.add(object), bytes);
    }
  }

  async #spool(pieces: readonly Uint8Array[], iterator: AsyncIterator<Uint8Array>): Promise<Oid> {
    await this.#writeHeld();
    const { objectDirectory } = this.#repository;
    await using spool = await TempObject.create(objectDirectory);
    let bytes = 0;
    const keep = async (piece: Uint8Array): Promise<void> => {
      await writeAll(spool.file, piece);
      bytes += piece.length;
    };
    for (const piece of pieces) await keep(piece);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next())
      await keep(next.value);
    const content = spool.file.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 });
    return await streamLoose(objectDirectory, {
      content,
      sizeBytes: bytes,
      objectFormat: this.objectFormat,
      isStored: (oid) => this.#isStored(oid),
    });
  }

  #start(work: Promise<void>, bytes: number): void {
    this.#runningBytes += bytes;
    const running = work
      .catch((error: unknown) => {
        this.#failure ??= { error };
      })
      .finally(() => {
        this.#running.delete(running);
        this.#runningBytes -= bytes;
      });
    this.#running.add(running);
  }

  async #settle(): Promise<void> {
    while (this.#running.size > 0) await Promise.race(this.#running);
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}

/**
 * Returns a repository without its quarantine, whose state need not be read then: at worst one of
 * git's objects is written there again.
 */
function withoutQuarantine(repository: GitRepository): GitRepository {
  const [objectDirectory, ...alternateObjectDirectories] = repository.alternateObjectDirectories;
  if (objectDirectory === undefined || !isQuarantined(repository)) return repository;
  return repository.withObjectDirectories({ objectDirectory, alternateObjectDirectories });
}
