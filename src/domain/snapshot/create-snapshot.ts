import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { noteBulkBytes } from '#base/memory/bulk-memory';
import { END_OF_ARCHIVE, paddingOf } from '#base/tar/tar-format';
import { tarHeader } from '#base/tar/tar-header';
import type { Repository } from '#storage/repository';
import { archiveMode, type SnapshotEntry } from './snapshot-entry.ts';
import { snapshotFiles } from './snapshot-files.ts';

export interface SnapshotOptions {
  /** Bytes of the buffers that are yielded; only the last one is smaller. */
  readonly chunkBytes: number;
  readonly signal: AbortSignal;
  /** Called for objects that are not followed. */
  readonly onSkipped: (reason: string) => void;
}

/** A link in place of a file is not followed, and a pipe is not waited for. */
const OPEN_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Files whose content is replaced are read as a whole. A larger one may have secrets, and is not sent. */
const MAX_FILTERED_BYTES = 16 * 1024 * 1024;

/**
 * Yields a tar archive with the references and objects of a repository, from which an independent
 * copy can be made. It is not locked: what changes meanwhile may be in the archive or not.
 *
 * @throws {GitalyError} RESOURCE_EXHAUSTED for a `config` file that is too large to be filtered;
 *   the system's errors.
 */
export async function* createSnapshot(
  repository: Repository,
  options: SnapshotOptions,
): AsyncGenerator<Buffer> {
  const output = new Output(options.chunkBytes);
  for await (const entry of snapshotFiles(repository, options.onSkipped)) {
    options.signal.throwIfAborted();
    await using handle = await openIfPresent(entry.path);
    if (handle !== undefined) yield* archive(entry, handle, output);
  }
  yield* output.add(END_OF_ARCHIVE);
  yield* output.end();
}

async function* archive(entry: SnapshotEntry, handle: FileHandle, output: Output): AsyncGenerator<Buffer> {
  const stats = await handle.stat();
  const isDirectory = entry.type === 'directory';
  if (isDirectory ? !stats.isDirectory() : !stats.isFile()) return;
  if (entry.filter !== undefined && stats.size > MAX_FILTERED_BYTES) {
    const message = `${entry.name} has more than ${MAX_FILTERED_BYTES} bytes`;
    throw new GitalyError('RESOURCE_EXHAUSTED', message);
  }
  const content = entry.filter?.(await handle.readFile());
  const size = isDirectory ? 0 : (content?.length ?? stats.size);
  const header = { type: entry.type, mode: archiveMode(stats), size, mtime: stats.mtimeMs / 1000 };
  yield* output.add(tarHeader({ name: Buffer.from(entry.name), ...header }));
  if (content !== undefined) yield* output.add(content);
  else if (!isDirectory) yield* output.addFile(handle, size);
  yield* output.add(Buffer.alloc(paddingOf(size)));
}

async function openIfPresent(path: string): Promise<FileHandle | undefined> {
  try {
    return await open(path, OPEN_FLAGS);
  } catch (error) {
    const code = systemErrorCode(error);
    // ELOOP: a symbolic link
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENOTDIR') return undefined;
    throw error;
  }
}

/** Collects bytes in buffers of one size. */
class Output {
  readonly #size: number;
  #buffer: Buffer;
  #used = 0;

  constructor(size: number) {
    this.#size = size;
    this.#buffer = Buffer.allocUnsafe(size);
  }

  *add(bytes: Buffer): Generator<Buffer> {
    for (let at = 0; at < bytes.length; ) {
      const copied = bytes.copy(this.#buffer, this.#used, at);
      at += copied;
      yield* this.#advance(copied);
    }
  }

  /** Adds the first `size` bytes of a file. @throws when it has become shorter. */
  async *addFile(handle: FileHandle, size: number): AsyncGenerator<Buffer> {
    for (let left = size; left > 0; ) {
      const length = Math.min(left, this.#size - this.#used);
      const { bytesRead } = await handle.read(this.#buffer, this.#used, length, size - left);
      if (bytesRead === 0) throw new Error('a file has become shorter');
      left -= bytesRead;
      yield* this.#advance(bytesRead);
    }
  }

  *end(): Generator<Buffer> {
    if (this.#used > 0) yield this.#buffer.subarray(0, this.#used);
    this.#used = 0;
  }

  *#advance(bytes: number): Generator<Buffer> {
    this.#used += bytes;
    if (this.#used < this.#size) return;
    noteBulkBytes(this.#size);
    yield this.#buffer;
    this.#buffer = Buffer.allocUnsafe(this.#size);
    this.#used = 0;
  }
}
