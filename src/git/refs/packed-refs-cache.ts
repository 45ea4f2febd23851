import { type BigIntStats, closeSync, fstatSync, openSync, read, readSync, statSync } from 'node:fs';
import { promisify } from 'node:util';
import { systemErrorCode } from '#base/system-error';
import type { ByteSource } from './packed-refs.ts';

/** Files up to this size are kept in memory; bigger ones are searched where they lie, which costs some 20 small reads. */
const MAX_KEPT_FILE_BYTES = 1024 * 1024;
/** All kept files together. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;
/** Reads of a big file: the last steps of a search all fall into one window. */
const WINDOW_BYTES = 4096;

/** `fs.read` has its own promise form, which gives the number of bytes and the buffer. */
const readAt = promisify(read);

interface Kept {
  readonly stamp: string;
  readonly data: Buffer;
}

/**
 * packed-refs files by repository. A kept file is used only while inode, size and times are those it was read with; git never
 * changes the file, it puts another one in its place.
 */
export class PackedRefsCache {
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;

  /**
   * Calls back with the repository's packed references; `undefined` (and no call) when it has no such file. The source is valid
   * during the call only.
   */
  read<T>(gitDirectory: string, use: (source: ByteSource) => T): T | undefined {
    const file = `${gitDirectory}/packed-refs`;
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false });
    if (stat === undefined) return undefined;
    const kept = this.#kept.get(gitDirectory);
    if (kept?.stamp === stampOf(stat)) {
      this.#kept.delete(gitDirectory);
      this.#kept.set(gitDirectory, kept);
      return use(new MemorySource(kept.data));
    }
    return this.#open(gitDirectory, file, use);
  }

  /** Changes whenever the repository's packed references do; `undefined` when it has no such file. */
  stamp(gitDirectory: string): string | undefined {
    const stat = statSync(`${gitDirectory}/packed-refs`, { bigint: true, throwIfNoEntry: false });
    return stat && stampOf(stat);
  }

  /**
   * Opens the repository's packed references for reading over some time; `undefined` when it has no such file. What is read stays
   * what it was when it was opened, whatever git does meanwhile.
   */
  open(gitDirectory: string): PackedRefsFile | undefined {
    const small = this.read(gitDirectory, (source) => (source instanceof MemorySource ? source : undefined));
    const kept = this.#kept.get(gitDirectory);
    if (small !== undefined && kept !== undefined) return new PackedRefsFile(small, kept.stamp, undefined);
    try {
      const fd = openSync(`${gitDirectory}/packed-refs`, 'r');
      const stat = fstatSync(fd, { bigint: true });
      return new PackedRefsFile(new FileSource(fd, Number(stat.size)), stampOf(stat), fd);
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
  }

  forget(gitDirectory: string): void {
    const kept = this.#kept.get(gitDirectory);
    if (kept === undefined) return;
    this.#kept.delete(gitDirectory);
    this.#bytes -= kept.data.length;
  }

  #open<T>(gitDirectory: string, file: string, use: (source: ByteSource) => T): T | undefined {
    let fd: number;
    try {
      fd = openSync(file, 'r');
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return undefined;
      throw error;
    }
    try {
      const stat = fstatSync(fd, { bigint: true });
      const source = new FileSource(fd, Number(stat.size));
      if (source.size > MAX_KEPT_FILE_BYTES) return use(source);
      const data = source.bytes(0, source.size);
      this.#keep(gitDirectory, { stamp: stampOf(stat), data });
      return use(new MemorySource(data));
    } finally {
      closeSync(fd);
    }
  }

  #keep(gitDirectory: string, kept: Kept): void {
    this.forget(gitDirectory);
    this.#kept.set(gitDirectory, kept);
    this.#bytes += kept.data.length;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= MAX_KEPT_BYTES) break;
      this.forget(oldest);
    }
  }
}

/** An open packed-refs file, or its contents. */
export class PackedRefsFile implements Disposable {
  /** For searching. */
  readonly source: ByteSource;
  /** As {@link PackedRefsCache.stamp} gives it for this very file. */
  readonly stamp: string;
  readonly #fd: number | undefined;

  constructor(source: ByteSource, stamp: string, fd: number | undefined) {
    this.source = source;
    this.stamp = stamp;
    this.#fd = fd;
  }

  /** Reads up to `length` bytes from `start` on into memory of their own, without holding the event loop. */
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

class MemorySource implements ByteSource {
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

class FileSource implements ByteSource {
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
    // Half of the window before the place: a search goes on to either side.
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

function stampOf({ ino, size, mtimeNs, ctimeNs }: BigIntStats): string {
  return `${ino}:${size}:${mtimeNs}:${ctimeNs}`;
}
