import type { ObjectFormatName } from '../object-format.ts';
import type { GitRepository } from '../repository.ts';
import { formatTree } from './format-tree.ts';
import { objectId } from './object-hash.ts';
import type { ObjectType } from './object-info.ts';
import { PackWriter } from './pack-writer.ts';
import type { TreeEntry } from './parse-tree.ts';
import { streamLoose, TempObject, writeAll, writeLoose } from './write-loose.ts';

/** Bigger blobs go through a file. */
const MAX_BLOB_IN_MEMORY = 1024 * 1024;
/** More objects than this go into one pack: one flush to disk instead of thousands. git's `transfer.unpackLimit` is the same. */
const MAX_LOOSE = 100;
/** Objects that are written at the same time, and the bytes in them. */
const MAX_RUNNING = 8;
const MAX_RUNNING_BYTES = 8 * 1024 * 1024;

export interface ObjectWriterOptions {
  /**
   * Keeps up to this many bytes of objects in memory until {@link ObjectWriter.finish}: where a small change fails halfway, nothing was
   * written. Default 0.
   */
  readonly holdBytes?: number;
}

interface PlainObject {
  readonly oid: string;
  readonly type: ObjectType;
  readonly data: Uint8Array;
}

/**
 * Writes objects into a repository's object directory (its quarantine, when it has one) without starting git. Ids and files are those
 * that git makes; data and names are flushed as `core.fsync=objects` asks.
 *
 * `write` gives the id as soon as it is known and there is room, the file follows in the background; nothing may refer to the objects
 * before {@link finish} resolves. Disposing waits for what still runs.
 *
 *     await using writer = new ObjectWriter(quarantine.repository, 'sha1');
 *     const oid = await writer.write('blob', data);
 *     const tree = await writer.writeTree([{ mode: 0o100644, name: Buffer.from('README'), oid }]);
 *     await writer.finish();
 *
 * Contents are taken as they are: whether they make sense is the caller's matter (`git hash-object` would check).
 */
export class ObjectWriter implements AsyncDisposable {
  readonly objectFormat: ObjectFormatName;
  readonly #holdBytes: number;
  #repository: GitRepository;
  /** Objects that are still in memory; `undefined` once anything was written. */
  #held: PlainObject[] | undefined = [];
  #heldBytes = 0;
  readonly #running = new Set<Promise<void>>();
  readonly #written = new Set<string>();
  #runningBytes = 0;
  #pack: PackWriter | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(repository: GitRepository, objectFormat: ObjectFormatName, { holdBytes = 0 }: ObjectWriterOptions = {}) {
    this.#repository = repository;
    this.objectFormat = objectFormat;
    this.#holdBytes = holdBytes;
  }

  /** Writes an object that is held in memory; the memory must not change before {@link finish}. @returns its id. */
  async write(type: ObjectType, data: Uint8Array): Promise<string> {
    this.#rethrow();
    const oid = objectId(this.objectFormat, type, data);
    if (this.#written.has(oid)) return oid;
    this.#written.add(oid);
    if (this.#held !== undefined && this.#written.size <= MAX_LOOSE && this.#heldBytes + data.length <= this.#holdBytes) {
      this.#held.push({ oid, type, data });
      this.#heldBytes += data.length;
      return oid;
    }
    await this.#writeHeld();
    await this.#write({ oid, type, data });
    return oid;
  }

  /**
   * Writes to another repository, if nothing was written yet: whoever finds that nobody will object needs no quarantine for what was held.
   */
  redirect(repository: GitRepository): void {
    if (this.#held !== undefined) this.#repository = repository;
  }

  /** @throws {Error} as {@link formatTree}. */
  async writeTree(entries: readonly TreeEntry[]): Promise<string> {
    return await this.write('tree', formatTree(entries));
  }

  /** Writes a blob of any size. Up to 1 MiB is held in memory; more goes to a temporary file first, since an id depends on the length. */
  async writeBlob(content: AsyncIterable<Uint8Array>): Promise<string> {
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

  /** Resolves when everything that was written is on disk. The writer can be used on. @throws what the first failed write threw. */
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
    for (const object of held) await this.#write(object);
  }

  async #write(object: PlainObject): Promise<void> {
    const bytes = object.data.length;
    while (this.#running.size >= MAX_RUNNING || (this.#running.size > 0 && this.#runningBytes + bytes > MAX_RUNNING_BYTES)) {
      await Promise.race(this.#running);
    }
    this.#rethrow();
    if (this.#written.size <= MAX_LOOSE) this.#start(writeLoose(this.#repository, object), bytes);
    else {
      this.#pack ??= new PackWriter(this.#repository.objectDirectory, this.objectFormat);
      this.#start(this.#pack.add(object), bytes);
    }
  }

  async #spool(pieces: readonly Uint8Array[], iterator: AsyncIterator<Uint8Array>): Promise<string> {
    await this.#writeHeld();
    await using spool = await TempObject.create(this.#repository.objectDirectory);
    let bytes = 0;
    const keep = async (piece: Uint8Array): Promise<void> => {
      await writeAll(spool.file, piece);
      bytes += piece.length;
    };
    for (const piece of pieces) await keep(piece);
    for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) await keep(next.value);
    const content = spool.file.createReadStream({ start: 0, autoClose: false, highWaterMark: 256 * 1024 });
    return await streamLoose(this.#repository, this.objectFormat, content, bytes);
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
