import { randomBytes } from 'node:crypto';
import type { BigIntStats } from 'node:fs';
import { type FileHandle, open, opendir, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { makeDirectory } from '#base/files/make-directory';
import { syncPath } from '#base/files/sync-path';
import { systemErrorCode } from '#base/go/system-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { foldersOf } from '../folders.ts';
import { isObjectKey, requireKey, requirePrefix, TEMPORARY_PREFIX, usableFolders } from '../object-key.ts';
import {
  type GetOptions,
  type Leftovers,
  type LeftoversOptions,
  type ListObjectsOptions,
  type ObjectCall,
  type ObjectFacts,
  type ObjectStore,
  PAGE_OBJECTS,
  type PutOptions,
  type SignOptions,
} from '../object-store.ts';
import { checkedPieces } from '../pieces.ts';
import { MissingObjectError, UnchangedError } from '../store-error.ts';
import { removeFileLeftovers } from './leftovers.ts';
import { publish, removeVersion, versionOf } from './publish.ts';
import { signUrl, type UrlSigner } from './sign-url.ts';

const PIECE_BYTES = 128 * 1024;
/**
 * Pieces in memory that is used again. Larger ones save little more, and take memory per reader.
 */
const REUSED_BYTES = 256 * 1024;
const FILE_MODE = 0o600;

/** A store in a directory (`file:///path` or a path), one file for each object. */
export class DirectoryStore implements ObjectStore {
  readonly #directory: string;
  readonly #signer: UrlSigner | undefined;

  /** @param directory absolute; it exists. */
  constructor(directory: string, signer?: UrlSigner) {
    this.#directory = directory;
    this.#signer = signer;
  }

  async *get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    const { range, mayReuse = false, signal, unlessVersion, onFacts } = options;
    signal.throwIfAborted();
    const opened = await this.#open(key);
    if (opened === undefined) throw new MissingObjectError();
    await using file = opened.file;
    const { facts } = opened;
    if (facts.version === unlessVersion) throw new UnchangedError(key);
    onFacts?.(facts);
    let { start: position = 0, length: left = Number.POSITIVE_INFINITY } = range ?? {};
    // Objects do not grow. Most are small, and whole pieces for them would be much garbage.
    left = Math.min(left, facts.sizeBytes - position);
    let next: Buffer | undefined;
    let previous: Buffer | undefined;
    while (left > 0) {
      signal.throwIfAborted();
      const wanted = Math.min(left, mayReuse ? REUSED_BYTES : PIECE_BYTES);
      const buffer = next ?? Buffer.allocUnsafe(wanted);
      const { bytesRead } = await file.read(buffer, 0, Math.min(wanted, buffer.length), position);
      if (bytesRead === 0) return;
      position += bytesRead;
      left -= bytesRead;
      if (next === undefined) noteBulkBytes(bytesRead);
      yield buffer.subarray(0, bytesRead);
      [next, previous] = mayReuse ? [previous, buffer] : [undefined, undefined];
    }
  }

  async openFile(key: string, { signal }: ObjectCall): Promise<FileHandle | undefined> {
    signal.throwIfAborted();
    return (await this.#open(key))?.file;
  }

  async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
    const target = this.#path(key);
    const folder = path.posix.dirname(target);
    const temporary = `${folder}/${TEMPORARY_PREFIX}${randomBytes(8).toString('hex')}`;
    let isLeft = true;
    try {
      const version = await writeFile(temporary, checkedPieces(pieces, options));
      await publish({ key, temporary, target }, options);
      isLeft = options.onlyIf === 'absent'; // else it was renamed
      await syncPath(folder);
      return version;
    } finally {
      if (isLeft) await rm(temporary, { force: true });
    }
  }

  async head(key: string, { signal }: ObjectCall): Promise<ObjectFacts | undefined> {
    signal.throwIfAborted();
    const stats = await this.#ifThere(stat(this.#path(key), { bigint: true }));
    return stats?.isFile() === true ? factsOf(key, stats) : undefined;
  }

  async *list(
    prefix: string,
    options: ListObjectsOptions,
  ): AsyncGenerator<readonly ObjectFacts[], void, undefined> {
    requirePrefix(prefix);
    let page: ObjectFacts[] = [];
    for await (const object of this.#walk(prefix.slice(0, prefix.lastIndexOf('/') + 1), prefix, options)) {
      page.push(object);
      if (page.length < PAGE_OBJECTS) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }

  async *listFolders(
    prefix: string,
    options: ObjectCall,
  ): AsyncGenerator<readonly string[], void, undefined> {
    requirePrefix(prefix);
    options.signal.throwIfAborted();
    const folders: string[] = [];
    for await (const entry of (await this.#ifThere(opendir(`${this.#directory}/${prefix}`))) ?? [])
      if (entry.isDirectory()) folders.push(`${prefix}${entry.name}/`);
    yield* foldersOf(prefix, usableFolders(folders.sort()));
  }

  async deleteVersion(key: string, version: string, { signal }: ObjectCall): Promise<void> {
    const target = this.#path(key);
    await removeVersion({ key, target, version }, signal);
    await syncPath(path.posix.dirname(target));
  }

  async delete(keys: readonly string[], { signal }: ObjectCall): Promise<void> {
    const paths = keys.map((key) => this.#path(key));
    const folders = new Set<string>();
    for (const file of paths) {
      signal.throwIfAborted();
      if ((await this.#ifThere(removeFile(file))) === true) folders.add(path.posix.dirname(file));
    }
    for (const folder of folders) await syncPath(folder);
  }

  async touch(key: string, { signal }: ObjectCall): Promise<boolean> {
    signal.throwIfAborted();
    const now = new Date();
    return (await this.#ifThere(utimes(this.#path(key), now, now).then(() => true))) ?? false;
  }

  async removeLeftovers(options: LeftoversOptions): Promise<Leftovers> {
    return await removeFileLeftovers(`${this.#directory}/${options.folder ?? ''}`, options);
  }

  async signedUrl(key: string, { validMs }: SignOptions): Promise<string | undefined> {
    requireKey(key);
    return this.#signer && signUrl(this.#signer, key, validMs);
  }

  async #open(key: string): Promise<{ readonly file: FileHandle; readonly facts: ObjectFacts } | undefined> {
    await using stack = new AsyncDisposableStack();
    const file = await this.#ifThere(open(this.#path(key), 'r'));
    const stats = file && (await stack.use(file).stat({ bigint: true }));
    if (file === undefined || stats?.isFile() !== true) return undefined;
    stack.move();
    return { file, facts: factsOf(key, stats) };
  }

  /** Yields the objects in a folder, which is empty or ends with a slash, and in those below it. */
  async *#walk(
    folder: string,
    prefix: string,
    options: ListObjectsOptions,
  ): AsyncGenerator<ObjectFacts, void, undefined> {
    const names: string[] = [];
    for await (const entry of (await this.#ifThere(opendir(`${this.#directory}/${folder}`))) ?? []) {
      if (entry.name.startsWith(TEMPORARY_PREFIX)) continue;
      if (entry.isDirectory()) names.push(`${folder}${entry.name}/`);
      else if (entry.isFile()) names.push(`${folder}${entry.name}`);
    }
    for (const key of names.sort()) {
      options.signal.throwIfAborted();
      if (!key.startsWith(prefix)) continue;
      if (key.endsWith('/')) yield* this.#walk(key, prefix, options);
      else if (isObjectKey(key)) yield* await this.#present(key, options);
      else options.onUnusable?.(key);
    }
  }

  /** Returns the facts of a listed object, unless it was deleted since. */
  async #present(key: string, options: ObjectCall): Promise<ObjectFacts[]> {
    const object = await this.head(key, options);
    return object === undefined ? [] : [object];
  }

  /**
   * Returns the result of a call for a file, or `undefined` if the file does not exist.
   *
   * @throws {Error} if the whole bucket is missing: a disk that is not mounted is no empty bucket.
   */
  async #ifThere<T>(call: Promise<T>): Promise<T | undefined> {
    try {
      return await call;
    } catch (error) {
      ignoreMissing(error);
      if ((await stat(this.#directory).catch(ignoreMissing)) !== undefined) return undefined;
      throw new Error(`the bucket's directory ${this.#directory} does not exist`, { cause: error });
    }
  }

  #path(key: string): string {
    requireKey(key);
    return `${this.#directory}/${key}`;
  }
}

function factsOf(key: string, stats: BigIntStats): ObjectFacts {
  const { size, mtimeNs } = stats;
  return { key, sizeBytes: Number(size), modifiedMs: Number(mtimeNs) / 1e6, version: versionOf(stats) };
}

/** Removes a file. @returns false for a folder, which is no object. */
async function removeFile(file: string): Promise<boolean> {
  try {
    await rm(file);
    return true;
  } catch (error) {
    if (systemErrorCode(error) === 'ERR_FS_EISDIR') return false;
    throw error;
  }
}

/**
 * Writes a new file, in a directory that is created if it is missing, and flushes it to disk.
 *
 * @returns its version, which a link or a rename does not change.
 */
async function writeFile(file: string, pieces: AsyncIterable<Uint8Array>): Promise<string> {
  await using handle = await create(file);
  for await (const piece of pieces) {
    noteBulkBytes(piece.length);
    await handle.writeFile(piece);
  }
  await handle.sync();
  return versionOf(await handle.stat({ bigint: true }));
}

async function create(file: string): Promise<FileHandle> {
  try {
    return await open(file, 'wx', FILE_MODE);
  } catch (error) {
    ignoreMissing(error);
  }
  await makeDirectory(path.posix.dirname(file));
  return await open(file, 'wx', FILE_MODE);
}
