import { createHash, randomUUID } from 'node:crypto';
import { closeSync, fstatSync, openSync, read, readSync } from 'node:fs';
import { type FileHandle, open, rename, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import { noteBulkBytes } from '#base/bulk-memory';
import { ignoreMissing } from '#base/files/ignore-missing';
import { systemErrorCode } from '#base/go/system-error';
import { makeDirectories } from '../lifecycle/make-directories.ts';
import type { Storage } from '../repository-target.ts';
import { cacheRoot } from '../storage-layout.ts';

const FILE_MODE = 0o600;

/**
 * Size of a read from a cached file. This much is read at once on the main thread: five uses of
 * another thread would take ten times as long.
 */
const READ_BYTES = 128 * 1024;

/** `fs.read` has its own promise form, which resolves with the number of bytes and the buffer. */
const readAt = promisify(read);

export interface CachedContent {
  /** True if the content was cached. */
  readonly hit: boolean;
  /** The content, for one complete or partial iteration. */
  readonly content: AsyncIterable<Buffer>;
}

export interface CacheOptions {
  /**
   * Called if the cache cannot be read or written. The reader receives the content nevertheless.
   */
  readonly onCacheError?: (error: unknown) => void;
}

/**
 * Returns the key of cached content: SHA-256 over everything that the content depends on. Every
 * part is preceded by its length (8 hex digits), so that different lists of parts never have the
 * same input.
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
 * Returns content from the storage's cache, or from `produce`, whose bytes are passed to the reader
 * and written to the cache at the same time.
 *
 * Cached content is complete: it is renamed into place when the last byte is written. A failure of
 * `produce`, or a reader that stops early, discards the draft. Concurrent producers of the same
 * content do not affect each other.
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

/** A file that is being written. Its failures only end the caching. */
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

  /** Removes the draft; does nothing after a commit. */
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
      // The cache cleaner removes it later.
      await unlink(this.#draftFile).catch(() => undefined);
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

/** Returns the content of a descriptor, and owns the descriptor. */
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

/** Yields the content up to the end of the file; closes the file in any case. */
async function* pieces(fd: number): AsyncGenerator<Buffer> {
  try {
    for (let position = 0; ; ) {
      const { bytesRead, buffer } = await readAt(
        fd,
        Buffer.allocUnsafeSlow(READ_BYTES),
        0,
        READ_BYTES,
        position,
      );
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
