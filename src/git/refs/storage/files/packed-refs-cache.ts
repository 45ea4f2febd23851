import { closeSync, fstatSync, openSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { type FileStamp, fileStamp, NO_FILE, stampOf } from '#base/files/file-stamp';
import { systemErrorCode } from '#base/go/system-error';
import { BoundedMap } from '#base/memory/bounded-map';
import type { PackedRefsSource } from './packed-refs.ts';

/**
 * Files up to this size are kept in memory; larger ones are searched on disk, which costs some 20
 * small reads.
 */
const MAX_KEPT_FILE_BYTES = 1024 * 1024;
/** Files up to this size are kept as text: a buffer takes 300 bytes besides its contents. */
const MAX_TEXT_BYTES = 4096;
/** Limit of all cached files together. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Limit of the number of files; an entry costs some 200 bytes in addition to its contents. */
const MAX_KEPT_FILES = 10_000;
/** Size of reads in a large file: the last steps of a search are all in one window. */
const WINDOW_BYTES = 4096;

/** `fs.read` has its own promise form, which resolves with the number of bytes and the buffer. */
const readAt = promisify(read);

interface Kept {
  readonly stamp: FileStamp;
  /** The contents; of a small file one character per byte. */
  readonly data: Buffer | string;
}

/**
 * packed-refs files by repository. A cached file is used only while its inode, size and times are
 * unchanged; git never modifies the file, but replaces it.
 */
export class PackedRefsCache {
  readonly #kept = new BoundedMap<string, Kept>({
    maxEntries: MAX_KEPT_FILES,
    maxWeight: MAX_KEPT_BYTES,
    weigh: ({ data }) => data.length,
  });

  /**
   * Calls back with the repository's packed references; returns `undefined` without a call if it
   * has no such file. The source is valid only during the call.
   *
   * @param stamp that of the file, if the caller knows it.
   */
  read<T>(
    gitDirectory: string,
    use: (source: PackedRefsSource) => T,
    stamp: FileStamp = fileStamp(`${gitDirectory}/packed-refs`),
  ): T | undefined {
    const file = `${gitDirectory}/packed-refs`;
    if (stamp === NO_FILE) return undefined;
    const kept = this.#kept.get(gitDirectory);
    if (kept?.stamp === stamp) return use(sourceOf(kept));
    return this.#open(gitDirectory, file, use);
  }

  /**
   * Returns a stamp that changes with the repository's packed references; `undefined` if it has no
   * such file.
   */
  stamp(gitDirectory: string): FileStamp | undefined {
    const stamp = fileStamp(`${gitDirectory}/packed-refs`);
    return stamp === NO_FILE ? undefined : stamp;
  }

  /**
   * Opens the repository's packed references for reading over some time; `undefined` if it has no
   * such file. The contents stay those at the time of opening, whatever git does meanwhile.
   */
  open(gitDirectory: string): PackedRefsFile | undefined {
    const small = this.read(gitDirectory, (source) => (source instanceof MemorySource ? source : undefined));
    const kept = this.#kept.get(gitDirectory);
    if (small !== undefined && kept !== undefined) return new PackedRefsFile(small, kept.stamp, undefined);
    try {
      const fd = openSync(`${gitDirectory}/packed-refs`, 'r');
      const stat = fstatSync(fd);
      return new PackedRefsFile(new FileSource(fd, stat.size), stampOf(stat), fd);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  forget(gitDirectory: string): void {
    this.#kept.delete(gitDirectory);
  }

  #open<T>(gitDirectory: string, file: string, use: (source: PackedRefsSource) => T): T | undefined {
    let fd: number;
    try {
      fd = openSync(file, 'r');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const stat = fstatSync(fd);
      const source = new FileSource(fd, stat.size);
      if (source.size > MAX_KEPT_FILE_BYTES) return use(source);
      const data = source.bytes(0, source.size);
      const kept = data.length > MAX_TEXT_BYTES ? data : data.toString('latin1');
      this.#kept.set(gitDirectory, { stamp: stampOf(stat), data: kept });
      return use(new MemorySource(data));
    } finally {
      closeSync(fd);
    }
  }
}

/** An open packed-refs file, or its contents. */
export class PackedRefsFile implements Disposable {
  /** Source for searching. */
  readonly source: PackedRefsSource;
  /** Stamp of this file as from {@link PackedRefsCache.stamp}. */
  readonly stamp: FileStamp;
  readonly #fd: number | undefined;

  constructor(source: PackedRefsSource, stamp: FileStamp, fd: number | undefined) {
    this.source = source;
    this.stamp = stamp;
    this.#fd = fd;
  }

  /** Reads up to `length` bytes from `start` into new memory, without blocking the event loop. */
  async read(start: number, length: number): Promise<Buffer> {
    const wanted = Math.max(0, Math.min(length, this.source.size - start));
    if (this.#fd === undefined) return this.source.bytes(start, wanted).subarray(0, wanted);
    const buffer = Buffer.allocUnsafeSlow(wanted);
    let filled = 0;
    while (filled < wanted) {
      const { bytesRead } = await readAt(this.#fd, buffer, filled, wanted - filled, start + filled);
      if (bytesRead === 0) break;
      filled += bytesRead;
    }
    return buffer.subarray(0, filled);
  }

  [Symbol.dispose](): void {
    if (this.#fd !== undefined) closeSync(this.#fd);
  }
}

function sourceOf({ data }: Kept): MemorySource {
  return new MemorySource(typeof data === 'string' ? Buffer.from(data, 'latin1') : data);
}

class MemorySource implements PackedRefsSource {
  readonly size: number;
  readonly #data: Buffer;

  constructor(data: Buffer) {
    this.size = data.length;
    this.#data = data;
  }

  bytes(start: number, length: number): Buffer {
    return this.#data.subarray(start, start + length);
  }
}

class FileSource implements PackedRefsSource {
  readonly size: number;
  readonly #fd: number;
  #window: Buffer = Buffer.alloc(0);
  #windowStart = 0;

  constructor(fd: number, size: number) {
    this.#fd = fd;
    this.size = size;
  }

  bytes(start: number, length: number): Buffer {
    const wanted = Math.min(length, this.size - start);
    const from = start - this.#windowStart;
    if (from >= 0 && from + wanted <= this.#window.length) return this.#window.subarray(from, from + wanted);
    // Half of the window is before the position, because a search continues on either side.
    this.#windowStart = Math.max(0, start - WINDOW_BYTES / 2);
    this.#window = this.#fill(this.#windowStart, Math.max(WINDOW_BYTES, start + wanted - this.#windowStart));
    return this.#window.subarray(start - this.#windowStart, start - this.#windowStart + wanted);
  }

  #fill(start: number, length: number): Buffer {
    const buffer = Buffer.allocUnsafeSlow(Math.min(length, this.size - start));
    let filled = 0;
    while (filled < buffer.length) {
      const count = readSync(this.#fd, buffer, filled, buffer.length - filled, start + filled);
      if (count === 0) break;
      filled += count;
    }
    return buffer.subarray(0, filled);
  }
}
