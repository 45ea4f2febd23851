import { createHash, randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, read, readSync } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { noteBulkBytes } from '#base/bulk-memory';
import { systemErrorCode } from '#base/system-error';
import { makeDirectories } from './make-directories.ts';
import type { Storage } from './repository-target.ts';
import { cacheRoot } from './storage-layout.ts';

const FILE_MODE = 0o600;

/** Bytes read from a cached file at a time. Up to so many are read at once, in place: five trips to another thread and back would take ten times as long. */
const READ_BYTES = 128 * 1024;

/** `fs.read` has its own promise form, which gives the number of bytes and the buffer. */
const readAt = promisify(read);

export interface CachedContent {
  /** Whether the content was there already. */
  readonly hit: boolean;
  /** Iterate it once, to its end or not. */
  readonly content: AsyncIterable<Buffer>;
}

export interface CacheOptions {
  /** Told when the cache could not be read or written. The reader gets the content all the same. */
  readonly onCacheError?: (error: unknown) => void;
}

/**
 * The key of cached content: SHA-256 over all that the content depends on. Every part goes in behind its length (8 hex
 * digits), so that no two lists of parts look alike.
 */
export function cacheKey(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) {
    const bytes = Buffer.from(part);
    hash.update(bytes.length.toString(16).padStart(8, '0')).update(bytes);
  }
  return hash.digest('hex');
}

/**
 * Content from the storage's cache, or from `produce`, whose bytes then go to the reader and into the cache at once.
 *
 * What is cached is complete: it gets its name by a rename when the last byte is written. A failure of `produce` and a reader
 * that leaves early throw the draft away. Two that produce the same at the same time do not disturb each other.
 */
export async function openCached(
  storage: Storage,
  key: string,
  produce: () => AsyncIterable<Uint8Array>,
  options: CacheOptions = {},
): Promise<CachedContent> {
  const file = `${cacheRoot(storage)}/${key.slice(0, 2)}/${key.slice(2)}`;
  const cached = openIfThere(file, options.onCacheError);
  if (cached !== undefined) return { hit: true, content: contentOf(cached) };
  return { hit: false, content: tee(produce, new Draft(storage, file, options.onCacheError)) };
}

async function* tee(produce: () => AsyncIterable<Uint8Array>, draft: Draft): AsyncGenerator<Buffer> {
  try {
    for await (const chunk of produce()) {
      const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
      const written = draft.write(bytes);
      yield bytes;
      await written;
    }
    await draft.commit();
  } finally {
    await draft.discard();
  }
}

/** A file in the making. Its own failures end the caching and nothing else. */
class Draft {
  readonly #storage: Storage;
  readonly #file: string;
  readonly #draftFile: string;
  readonly #onCacheError: CacheOptions['onCacheError'];
  #handle: FileHandle | undefined;
  #writing: Promise<void> = Promise.resolve();
  #over = false;

  constructor(storage: Storage, file: string, onCacheError: CacheOptions['onCacheError']) {
    this.#storage = storage;
    this.#file = file;
    this.#draftFile = `${file}.${randomUUID()}.tmp`;
    this.#onCacheError = onCacheError;
  }

  write(bytes: Buffer): Promise<void> {
    this.#writing = this.#attempt(async () => {
      this.#handle ??= await createFile(this.#storage, this.#draftFile);
      await this.#handle.appendFile(bytes);
    });
    return this.#writing;
  }

  async commit(): Promise<void> {
    await this.#attempt(async () => {
      const handle = this.#handle ?? (await createFile(this.#storage, this.#draftFile));
      this.#handle = undefined;
      await handle.close();
      await rename(this.#draftFile, this.#file);
      this.#over = true;
    });
  }

  /** Does nothing after a commit. */
  async discard(): Promise<void> {
    await this.#writing;
    if (this.#over) return;
    this.#over = true;
    await this.#handle?.close();
    await unlink(this.#draftFile).catch(ignoreMissing);
  }

  async #attempt(step: () => Promise<void>): Promise<void> {
    if (this.#over) return;
    try {
      await step();
    } catch (error) {
      this.#onCacheError?.(error);
      this.#over = true;
      await this.#handle?.close();
      this.#handle = undefined;
      await unlink(this.#draftFile).catch(() => undefined); // The cache cleaner removes what cannot be removed now.
    }
  }
}

async function createFile(storage: Storage, file: string): Promise<FileHandle> {
  try {
    return await open(file, 'wx', FILE_MODE);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    await makeDirectories(storage, dirname(file));
    return await open(file, 'wx', FILE_MODE);
  }
}

function openIfThere(file: string, onCacheError: CacheOptions['onCacheError']): number | undefined {
  try {
    return openSync(file, 'r');
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') onCacheError?.(error);
    return undefined;
  }
}

/** Takes the descriptor over. */
function contentOf(fd: number): AsyncIterable<Buffer> {
  let isHandedOn = false;
  try {
    const { size } = fstatSync(fd);
    isHandedOn = size > READ_BYTES;
    if (isHandedOn) return pieces(fd);
    const bytes = Buffer.allocUnsafe(size);
    return onePiece(bytes.subarray(0, readSync(fd, bytes, 0, size, 0)));
  } finally {
    if (!isHandedOn) closeSync(fd);
  }
}

/** Ends at the end of the file, which is closed however the reading ends. */
async function* pieces(fd: number): AsyncGenerator<Buffer> {
  try {
    for (let position = 0; ; ) {
      const { bytesRead, buffer } = await readAt(fd, Buffer.allocUnsafeSlow(READ_BYTES), 0, READ_BYTES, position);
      if (bytesRead === 0) return;
      noteBulkBytes(bytesRead);
      yield buffer.subarray(0, bytesRead);
      position += bytesRead;
    }
  } finally {
    closeSync(fd);
  }
}

async function* onePiece(bytes: Buffer): AsyncGenerator<Buffer> {
  if (bytes.length > 0) yield bytes;
}

function ignoreMissing(error: unknown): undefined {
  if (systemErrorCode(error) === 'ENOENT') return undefined;
  throw error;
}
