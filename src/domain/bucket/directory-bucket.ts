import { createHmac, randomBytes } from 'node:crypto';
import { open, opendir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { noteBulkBytes } from '#base/bulk-memory';
import { ignoreMissing } from '#base/files/ignore-missing';
import { makeDirectory } from '#base/files/make-directory';
import { type Bucket, type ListedObject, MissingObjectError } from './bucket.ts';

const PIECE_BYTES = 128 * 1024;
const FILE_MODE = 0o600;
/** Marks a file that is not complete. A key never begins a component so. */
const TEMPORARY_PREFIX = '.fileblob-';

/** Signs addresses of objects, as Go's library for buckets does. */
export interface UrlSigner {
  /** Address of a program that checks the signature and serves the object. */
  readonly baseUrl: string;
  readonly secret: Uint8Array;
}

/** A bucket in a directory (`file:///path` or a path). */
export class DirectoryBucket implements Bucket {
  readonly #directory: string;
  readonly publicUrl?: Bucket['publicUrl'] & {};

  /** @param directory absolute; it exists. */
  constructor(directory: string, signer?: UrlSigner) {
    this.#directory = directory;
    if (signer !== undefined) this.publicUrl = (key, validMs) => signedUrl(signer, key, validMs);
  }

  async write(key: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const target = this.#path(key);
    const folder = path.posix.dirname(target);
    await makeDirectory(folder);
    const temporary = `${folder}/${TEMPORARY_PREFIX}${randomBytes(8).toString('hex')}`;
    try {
      await writeFile(temporary, pieces);
      await rename(temporary, target);
      await syncDirectory(folder);
    } catch (error) {
      await rm(temporary, { force: true });
      throw error;
    }
  }

  async *read(key: string): AsyncGenerator<Buffer, void, undefined> {
    await using file = await this.#ifThere(open(this.#path(key), 'r'));
    if (file === undefined) throw new MissingObjectError();
    for (;;) {
      const { buffer, bytesRead } = await file.read(Buffer.allocUnsafe(PIECE_BYTES), 0, PIECE_BYTES);
      if (bytesRead === 0) return;
      noteBulkBytes(bytesRead);
      yield buffer.subarray(0, bytesRead);
    }
  }

  async exists(key: string): Promise<boolean> {
    const stats = await this.#ifThere(stat(this.#path(key)));
    return stats?.isFile() === true;
  }

  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    const directory = await this.#ifThere(opendir(this.#path(prefix)));
    if (directory === undefined) return;
    for await (const entry of directory) {
      const key = `${prefix}${entry.name}`;
      if (entry.isDirectory()) yield* this.list(`${key}/`);
      if (!entry.isFile() || entry.name.startsWith(TEMPORARY_PREFIX)) continue;
      const stats = await stat(this.#path(key)).catch(ignoreMissing);
      if (stats !== undefined) yield { key, modifiedMs: stats.mtimeMs };
    }
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
    return `${this.#directory}/${key}`;
  }
}

/** Writes a new file and flushes it to disk. */
async function writeFile(file: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
  await using handle = await open(file, 'wx', FILE_MODE);
  for await (const piece of pieces) {
    noteBulkBytes(piece.length);
    await handle.writeFile(piece);
  }
  await handle.sync();
}

async function syncDirectory(directory: string): Promise<void> {
  await using handle = await open(directory, 'r');
  await handle.sync();
}

function signedUrl({ baseUrl, secret }: UrlSigner, key: string, validMs: number): string {
  const expiry = Math.floor((Date.now() + validMs) / 1000);
  const query = new URLSearchParams({ expiry: String(expiry), method: 'GET', obj: key });
  query.append('signature', createHmac('sha256', secret).update(query.toString()).digest('base64url'));
  const url = new URL(baseUrl);
  for (const [name, value] of query) url.searchParams.set(name, value);
  return url.href;
}
