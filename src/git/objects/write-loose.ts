import { createHash, randomBytes } from 'node:crypto';
import { closeSync, existsSync, fsync, mkdirSync, openSync, renameSync, unlinkSync, utimesSync, writeSync } from 'node:fs';
import { type FileHandle, mkdir, open, rename, unlink } from 'node:fs/promises';
import { promisify } from 'node:util';
import { createDeflate, deflate, deflateSync, type ZlibOptions } from 'node:zlib';
import { systemErrorCode } from '#base/system-error';
import type { ObjectFormatName } from '../object-format.ts';
import { objectHeader } from './object-hash.ts';
import type { ObjectType } from './object-info.ts';

/** git's default for loose objects: they are written far more often than read. */
export const LOOSE_LEVEL = 1;
/** git's mode for objects: nobody changes them. */
export const OBJECT_MODE = 0o444;

/**
 * Objects up to this size are written without leaving the thread, but for the flush to disk: the calls take some microseconds each, a trip to
 * another thread and back takes ten times that, of everybody's time.
 */
const MAX_SMALL_BYTES = 16 * 1024;

/**
 * Compression needs a quarter of a MiB for its tables by default, however small the object is, and that much of garbage a file makes the
 * collector run after a few dozen. Tables as large as the object compress it as well.
 */
function compression(sizeBytes: number): ZlibOptions {
  const windowBits = Math.min(15, Math.max(9, Math.ceil(Math.log2(sizeBytes))));
  return { level: LOOSE_LEVEL, windowBits, memLevel: Math.min(8, windowBits - 7) };
}

const deflateAsync = promisify(deflate);
const fsyncAsync = promisify(fsync);

/** Object directories as git sees them: written to the first, read from all. */
export interface ObjectDirectories {
  readonly objectDirectory: string;
  readonly alternateObjectDirectories: readonly string[];
}

/**
 * Writes one object as a loose file: compressed, flushed to disk and then renamed into place, so that a reader or a power cut never
 * meets half of it. An object that is there already (loose) only gets a new date, as with git, which keeps it from being pruned.
 */
export async function writeLoose(
  directories: ObjectDirectories,
  object: { readonly oid: string; readonly type: ObjectType; readonly data: Uint8Array },
): Promise<void> {
  const { oid, type, data } = object;
  if (freshenLooseObject(directories, oid)) return;
  const whole = Buffer.concat([objectHeader(type, data.length), data]);
  if (whole.length <= MAX_SMALL_BYTES) {
    await putSmall(directories.objectDirectory, oid, deflateSync(whole, compression(whole.length)));
    return;
  }
  const compressed = await deflateAsync(whole, compression(whole.length));
  await using temp = await TempObject.create(directories.objectDirectory);
  await temp.file.writeFile(compressed);
  await temp.moveTo(directories.objectDirectory, oid);
}

async function putSmall(objectDirectory: string, oid: string, bytes: Buffer): Promise<void> {
  const temp = tempPath(objectDirectory, TEMP_OBJECT);
  const file = openSync(temp, 'wx', OBJECT_MODE);
  try {
    try {
      for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
      await fsyncAsync(file);
    } finally {
      closeSync(file);
    }
    const path = loosePath(objectDirectory, oid);
    const directory = path.slice(0, path.lastIndexOf('/'));
    if (!existsSync(directory)) mkdirSync(directory, { recursive: true });
    renameSync(temp, path);
  } catch (error) {
    unlinkSync(temp);
    throw error;
  }
}

/**
 * Writes a blob of any size as a loose file; a few pieces are in memory at a time.
 *
 * @param content yields exactly `sizeBytes` bytes.
 * @returns its id.
 */
export async function streamLoose(
  directories: ObjectDirectories,
  objectFormat: ObjectFormatName,
  content: AsyncIterable<Uint8Array>,
  sizeBytes: number,
): Promise<string> {
  const header = objectHeader('blob', sizeBytes);
  const hash = createHash(objectFormat).update(header);
  await using temp = await TempObject.create(directories.objectDirectory);
  const zlib = createDeflate({ level: LOOSE_LEVEL });
  const feeding = (async () => {
    try {
      zlib.write(header);
      for await (const piece of content) {
        hash.update(piece);
        await new Promise<void>((resolve, reject) => zlib.write(piece, (error) => (error ? reject(error) : resolve())));
      }
      zlib.end();
    } catch (error) {
      zlib.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  })();
  try {
    for await (const compressed of zlib) await writeAll(temp.file, compressed);
  } finally {
    await feeding;
  }
  const oid = hash.digest('hex');
  if (!freshenLooseObject(directories, oid)) await temp.moveTo(directories.objectDirectory, oid);
  return oid;
}

/** Gives an object that exists as a loose file a new date; `false` when there is none. */
function freshenLooseObject(directories: ObjectDirectories, oid: string): boolean {
  const now = new Date();
  for (const directory of [directories.objectDirectory, ...directories.alternateObjectDirectories]) {
    const path = loosePath(directory, oid);
    if (!existsSync(path)) continue;
    try {
      utimesSync(path, now, now);
      return true;
    } catch {
      // Gone by now, or not ours to touch: git writes the object then, and so do we.
    }
  }
  return false;
}

function loosePath(objectDirectory: string, oid: string): string {
  return `${objectDirectory}/${oid.slice(0, 2)}/${oid.slice(2)}`;
}

/** Writes all bytes where the file stands. */
export async function writeAll(file: FileHandle, bytes: Uint8Array): Promise<void> {
  for (let at = 0; at < bytes.length; ) at += (await file.write(bytes, at)).bytesWritten;
}

/** What git's housekeeping knows the files by that a crash left. */
const TEMP_OBJECT = 'tmp_obj_';

function tempPath(directory: string, prefix: string): string {
  return `${directory}/${prefix}${randomBytes(8).toString('hex')}`;
}

/** A file of an object directory that is not an object yet. git's housekeeping removes what a crash leaves of it, by its name. */
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

  /** Makes the file the loose object of that id. */
  async moveTo(objectDirectory: string, oid: string): Promise<void> {
    await this.file.sync();
    await this.renameTo(loosePath(objectDirectory, oid)).catch(async (error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      await mkdir(`${objectDirectory}/${oid.slice(0, 2)}`, { recursive: true });
      await this.renameTo(loosePath(objectDirectory, oid));
    });
  }

  /** The file itself was flushed before. A file of that name has the same contents: it is named by their hash. */
  async renameTo(path: string): Promise<void> {
    await rename(this.path, path);
    this.#isMoved = true;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.file.close();
    if (!this.#isMoved) await unlink(this.path);
  }
}
