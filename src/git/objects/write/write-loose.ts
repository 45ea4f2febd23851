import { createHash, randomBytes } from 'node:crypto';
import { closeSync, fsync, openSync, unlinkSync, writeSync } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { createDeflate } from 'node:zlib';
import { makeDirectorySync } from '#base/files/make-directory';
import { renameInto } from '#base/files/rename-into';
import { isError } from '#base/is-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { type Oid, oidAt } from '#git/names/object-id';
import type { ObjectType } from '#git/names/object-info';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { loosePath } from '../database/loose-object.ts';
import { deflated, deflatedNow, FAST_LEVEL } from './deflate.ts';
import { deflateStored, STORED_OVERHEAD } from './deflate-stored.ts';
import { objectHeader } from './object-hash.ts';

/** git's mode for objects, which never change. */
export const OBJECT_MODE = 0o444;

/**
 * Objects up to this size are written on the main thread, except for the flush to disk: each call
 * takes some microseconds, and using another thread takes ten times that.
 */
const MAX_SMALL_BYTES = 16 * 1024;

/**
 * Trees and commits up to this size are not compressed: their file takes a block of 4 KiB in any
 * case, and a call of zlib takes longer than the rest. git compresses them when it packs them.
 */
const MAX_STORED_BYTES = 4096 - STORED_OVERHEAD;

const fsyncAsync = promisify(fsync);

/** The object directory that gets a loose object. */
export interface LooseTarget {
  readonly objectDirectory: string;
  /** A quarantine has no directories for loose objects at first, so that they are created at once. */
  readonly isQuarantine: boolean;
}

/**
 * Writes one object as a loose file: compressed, flushed to disk and then renamed, so that neither
 * a reader nor a power failure sees a partial file.
 */
export async function writeLoose(
  { objectDirectory, isQuarantine }: LooseTarget,
  object: { readonly oid: string; readonly type: ObjectType; readonly data: Uint8Array },
): Promise<void> {
  const { oid, type, data } = object;
  const whole = Buffer.concat([objectHeader(type, data.length), data]);
  if (whole.length <= MAX_SMALL_BYTES) {
    const path = loosePath(objectDirectory, oid);
    const temp = tempPath(objectDirectory, TEMP_OBJECT);
    const isStored = type !== 'blob' && whole.length <= MAX_STORED_BYTES;
    const bytes = isStored ? deflateStored(whole) : deflatedNow(whole);
    await writeSmall(temp, bytes, () => {
      if (isQuarantine) makeDirectorySync(dirname(path));
      renameInto(temp, path);
    });
    return;
  }
  const compressed = await deflated(whole);
  await using temp = await TempObject.create(objectDirectory);
  await temp.file.writeFile(compressed);
  await temp.moveTo(objectDirectory, oid);
}

/** Writes and flushes a file, and removes it unless it can be moved. */
async function writeSmall(temp: string, bytes: Buffer, move: () => void): Promise<void> {
  const file = openSync(temp, 'wx', OBJECT_MODE);
  try {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      await fsyncAsync(file);
    } finally {
      closeSync(file);
    }
    move();
  } catch (error) {
    unlinkSync(temp);
    throw error;
  }
}

interface BigBlob {
  /** Content of exactly `sizeBytes` bytes. */
  readonly content: AsyncIterable<Uint8Array>;
  readonly sizeBytes: number;
  readonly objectFormat: ObjectFormatName;
  /** Called once the id is known. */
  readonly isStored: (oid: Oid) => boolean;
}

/**
 * Writes a blob of any size as a loose file, unless it exists already; a few pieces are in memory
 * at a time.
 *
 * @returns its id.
 */
export async function streamLoose(
  objectDirectory: string,
  { content, sizeBytes, objectFormat, isStored }: BigBlob,
): Promise<Oid> {
  const header = objectHeader('blob', sizeBytes);
  const hash = createHash(objectFormat).update(header);
  await using temp = await TempObject.create(objectDirectory);
  const zlib = createDeflate({ level: FAST_LEVEL });
  const feeding = (async () => {
    try {
      zlib.write(header);
      for await (const piece of content) {
        noteBulkBytes(piece.length);
        hash.update(piece);
        await new Promise<void>((resolve, reject) =>
          zlib.write(piece, (error) => (error ? reject(error) : resolve())),
        );
      }
      zlib.end();
    } catch (error) {
      zlib.destroy(isError(error) ? error : new Error(String(error)));
    }
  })();
  try {
    for await (const compressed of zlib) await writeAll(temp.file, compressed);
  } finally {
    await feeding;
  }
  const oid = oidAt(hash.digest());
  if (!isStored(oid)) await temp.moveTo(objectDirectory, oid);
  return oid;
}

/** Writes all bytes: the system may write a part at a time. @param position default: the file's current one. */
export async function writeAll(file: FileHandle, bytes: Uint8Array, position?: number): Promise<void> {
  for (let at = 0; at < bytes.length; ) {
    const to = position === undefined ? null : position + at;
    at += (await file.write(bytes, at, bytes.length - at, to)).bytesWritten;
  }
}

/** Prefix by which git's housekeeping recognizes leftovers of a crash. */
const TEMP_OBJECT = 'tmp_obj_';

/** Differs from the names of other processes. */
const NAME_OF_PROCESS = randomBytes(8).toString('hex');
let tempFiles = 0;

function tempPath(directory: string, prefix: string): string {
  return `${directory}/${prefix}${NAME_OF_PROCESS}${(++tempFiles).toString(36)}`;
}

/**
 * A file of an object directory that is not an object yet. git's housekeeping removes it after a
 * crash, by its name.
 */
export class TempObject implements AsyncDisposable {
  readonly file: FileHandle;
  readonly path: string;
  #isMoved = false;

  private constructor(file: FileHandle, path: string) {
    this.file = file;
    this.path = path;
  }

  static async create(directory: string, prefix = TEMP_OBJECT): Promise<TempObject> {
    const path = tempPath(directory, prefix);
    return new TempObject(await open(path, 'wx+', OBJECT_MODE), path);
  }

  /** Renames the file to the loose object of that id. */
  async moveTo(objectDirectory: string, oid: string): Promise<void> {
    await this.file.sync();
    renameInto(this.path, loosePath(objectDirectory, oid));
    this.#isMoved = true;
  }

  /**
   * Renames the file, which was flushed before. An existing file of that name has the same
   * contents, because it is named by their hash.
   */
  async renameTo(path: string): Promise<void> {
    await rename(this.path, path);
    this.#isMoved = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close();
    if (!this.#isMoved) await unlink(this.path);
  }
}
