import { type FileHandle, mkdir, open, unlink } from 'node:fs/promises';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { ignoreMissing } from '#base/files/ignore-missing';
import { GitalyError } from '#base/gitaly-error';
import { systemErrorCode } from '#base/go/system-error';
import { bulkBuffers, PIECE_BYTES } from '#base/memory/bulk-buffers';
import { noteBulkBytes } from '#base/memory/bulk-memory';

const FILE_MODE = 0o600;
const DIRECTORY_MODE = 0o700;

interface Block {
  readonly offset: number;
  readonly length: number;
  /** Checksum, for a file with a name. */
  readonly crc: number | undefined;
}

/** Blocks that were read, and how many there are. */
export interface ReadBlocks {
  /** Memory that {@link bulkBuffers} takes back. */
  readonly bytes: Buffer;
  readonly count: number;
}

/**
 * The part of a stream that is on disk: a file of blocks that only grows. A block is what was
 * appended as one buffer. If the file has a name, its checksum is kept in memory and compared at
 * every read, so that a truncated or changed file is never used as content.
 */
export class SpoolFile {
  readonly #path: string;
  readonly #handle: FileHandle;
  readonly #blocks: Block[] = [];
  readonly #hasName: boolean;
  #bytes = 0;
  #isUnlinked: boolean;

  private constructor(path: string, handle: FileHandle, isUnlinked: boolean) {
    this.#path = path;
    this.#handle = handle;
    this.#isUnlinked = isUnlinked;
    this.#hasName = !isUnlinked;
  }

  /**
   * Creates a file; its directory may be missing, but not that directory's parent.
   *
   * @param isHidden removes the name at once: the file then vanishes with its last user, even if
   *   this process is killed.
   */
  static async create(path: string, { isHidden }: { readonly isHidden: boolean }): Promise<SpoolFile> {
    const handle = await openNew(path);
    try {
      if (isHidden) await unlink(path);
      return new SpoolFile(path, handle, isHidden);
    } catch (error) {
      await handle.close();
      throw error;
    }
  }

  /** Number of blocks that can be read. */
  get count(): number {
    return this.#blocks.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Appends blocks. One call at a time. @throws system errors; no block of the call is there then.
   */
  async append(buffers: readonly Buffer[]): Promise<void> {
    const length = buffers.reduce((sum, buffer) => sum + buffer.length, 0);
    const { bytesWritten } = await this.#handle.writev(buffers, this.#bytes);
    if (bytesWritten !== length)
      throw Object.assign(new Error('no space left on device'), { code: 'ENOSPC' });
    for (const buffer of buffers) {
      const crc = this.#hasName ? crc32(buffer) : undefined;
      this.#blocks.push({ offset: this.#bytes, length: buffer.length, crc });
      this.#bytes += buffer.length;
    }
  }

  /**
   * Reads one block, or several behind one another, from the block with this index on.
   *
   * @throws {GitalyError} DATA_LOSS when the file does not have what was written.
   */
  async read(index: number): Promise<ReadBlocks> {
    const blocks: Block[] = [];
    let length = 0;
    for (let at = index; at < this.#blocks.length; at++) {
      const block = this.#blocks[at];
      if (block === undefined || (length > 0 && length + block.length > PIECE_BYTES)) break;
      blocks.push(block);
      length += block.length;
    }
    const [first] = blocks;
    if (first === undefined) throw new RangeError(`there is no block ${index}`);
    const bytes = memoryFor(length);
    const { bytesRead } = await this.#handle.read(bytes, 0, length, first.offset);
    const isIntact = blocks.every(({ crc, length: blockLength, offset }) => {
      const start = offset - first.offset;
      return crc === undefined || crc32(bytes.subarray(start, start + blockLength)) === crc;
    });
    if (bytesRead !== length || !isIntact)
      throw new GitalyError('DATA_LOSS', 'a cache file is damaged', { metadata: { path: this.#path } });
    return { bytes, count: blocks.length };
  }

  /** Removes the file when the running reads have ended. */
  async remove(): Promise<void> {
    await this.#handle.close();
    if (this.#isUnlinked) return;
    this.#isUnlinked = true;
    await unlink(this.#path).catch(ignoreMissing);
  }
}

/** Returns memory for a block, which may be larger than a piece. */
function memoryFor(length: number): Buffer {
  if (length <= PIECE_BYTES) return bulkBuffers.take().subarray(0, length);
  noteBulkBytes(length);
  return Buffer.allocUnsafeSlow(length);
}

async function openNew(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'wx+', FILE_MODE);
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error;
    await mkdir(dirname(path), { mode: DIRECTORY_MODE }).catch(ignoreExisting);
    return await open(path, 'wx+', FILE_MODE);
  }
}

function ignoreExisting(error: unknown): void {
  if (systemErrorCode(error) !== 'EEXIST') throw error;
}
