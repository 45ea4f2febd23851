import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, mkdir, open, rename, unlink, utimes } from 'node:fs/promises';
import { promisify } from 'node:util';
import { createDeflate, deflate } from 'node:zlib';
import { systemErrorCode } from '#base/system-error';
import type { ObjectFormatName } from '../object-format.ts';
import { objectHeader } from './object-hash.ts';
import type { ObjectType } from './object-info.ts';

/** git's default for loose objects: they are written far more often than read. */
export const LOOSE_LEVEL = 1;
/** git's mode for objects: nobody changes them. */
export const OBJECT_MODE = 0o444;

const deflateAsync = promisify(deflate);

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
  if (await freshenLooseObject(directories, oid)) return;
  const whole = Buffer.concat([objectHeader(type, data.length), data]);
  const compressed = await deflateAsync(whole, { level: LOOSE_LEVEL });
  await using temp = await TempObject.create(directories.objectDirectory);
  await temp.file.writeFile(compressed);
  await temp.moveTo(directories.objectDirectory, oid);
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
  if (!(await freshenLooseObject(directories, oid))) await temp.moveTo(directories.objectDirectory, oid);
  return oid;
}

/** Gives an object that exists as a loose file a new date; `false` when there is none. */
async function freshenLooseObject(directories: ObjectDirectories, oid: string): Promise<boolean> {
  const now = new Date();
  for (const directory of [directories.objectDirectory, ...directories.alternateObjectDirectories]) {
    try {
      await utimes(loosePath(directory, oid), now, now);
      return true;
    } catch {
      // Not there, or not ours to touch: git writes the object then, and so do we.
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

/** A file of an object directory that is not an object yet. git's housekeeping removes what a crash leaves of it, by its name. */
export class TempObject implements AsyncDisposable {
  readonly file: FileHandle;
  readonly path: string;
  #isMoved = false;

  private constructor(file: FileHandle, path: string) {
    this.file = file;
    this.path = path;
  }

  static async create(directory: string, prefix = 'tmp_obj_'): Promise<TempObject> {
    const path = `${directory}/${prefix}${randomBytes(8).toString('hex')}`;
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
