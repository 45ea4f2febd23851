import { closeSync, fstatSync, openSync, readSync, type Stats } from 'node:fs';
import { crc32 } from 'node:zlib';
import { stampOf } from '#base/files/file-stamp';
import { systemErrorCode } from '#base/go/system-error';
import { OID_BYTES, type OidBytes } from '#git/names/object-id';
import { BLOCK_TYPES } from './block.ts';
import { broken, TableVanished } from './broken.ts';
import { STACK_LIMITS } from './limits.ts';

const MAGIC = 'REFT';
/** Bytes of the header by version. */
const HEADER_BYTES: Readonly<Record<number, number>> = { 1: 24, 2: 28 };
const HASH_POSITION = 24;
const HASHES: Readonly<Record<string, OidBytes>> = { sha1: OID_BYTES.sha1, s256: OID_BYTES.sha256 };
const BLOCK_SIZE_POSITION = 5;
/** Bytes after the copy of the header: five positions and a checksum. */
const FOOTER_BYTES = 44;
const CRC_BYTES = 4;
/** Position of the first block of reflogs, in the footer after its copy of the header. */
const LOG_POSITION = 24;

let lastId = 0;

interface Layout {
  readonly headerBytes: number;
  readonly oidBytes: OidBytes;
  /** Alignment of blocks; 0 without. */
  readonly blockSize: number;
  /** Bytes before the footer. */
  readonly size: number;
  /** Position of the first block of the index's highest level; 0 without an index. */
  readonly indexPosition: number;
  readonly hasRefs: boolean;
  readonly hasLogs: boolean;
}

/**
 * A table of a stack. git never changes one, and gives each a new name. Its file is open only while
 * it is read, or {@link hold held}.
 */
export class Table implements Layout {
  /** Different for each table; never reused. */
  readonly id = ++lastId;
  readonly path: string;
  readonly headerBytes: number;
  readonly oidBytes: OidBytes;
  readonly blockSize: number;
  readonly size: number;
  readonly indexPosition: number;
  readonly hasRefs: boolean;
  readonly hasLogs: boolean;
  /** The whole file, if it is small. */
  readonly #whole: Buffer | undefined;
  readonly #stamp: string;
  #fd: number | undefined;
  #holders = 0;
  /** A bit for each block that was checked. */
  #checked: Uint8Array | undefined;

  /**
   * Reads the header and the footer.
   *
   * @throws {TableVanished} when there is no such file; {FallBackToGit} when it is damaged.
   */
  constructor(path: string) {
    this.path = path;
    const { fd, stats } = openTable(path);
    try {
      this.#stamp = identityOf(stats);
      if (stats.size > STACK_LIMITS.tableBytes) throw broken('a table is too large');
      if (stats.size <= STACK_LIMITS.wholeBytes) this.#whole = readFrom(fd, 0, stats.size);
      const layout = readLayout(stats.size, (at, length) =>
        this.#whole === undefined ? readFrom(fd, at, length) : this.#whole.subarray(at, at + length),
      );
      this.headerBytes = layout.headerBytes;
      this.oidBytes = layout.oidBytes;
      this.blockSize = layout.blockSize;
      this.size = layout.size;
      this.indexPosition = layout.indexPosition;
      this.hasRefs = layout.hasRefs;
      this.hasLogs = layout.hasLogs;
    } finally {
      closeSync(fd);
    }
  }

  /** Memory of the file's bytes and of the marks of checked blocks. */
  get keptBytes(): number {
    return this.#whole?.length ?? this.#markBytes;
  }

  /** Reports whether the block at a position was decoded and checked as a whole. */
  isChecked(position: number): boolean {
    const block = position / this.blockSize;
    return ((this.#checked?.[block >>> 3] ?? 0) & (1 << (block & 7))) !== 0 && Number.isInteger(block);
  }

  /** Notes that the block at a position was checked. */
  markChecked(position: number): void {
    const block = position / this.blockSize;
    const bytes = this.#markBytes;
    if (bytes > STACK_LIMITS.markBytes || !Number.isInteger(block)) return;
    this.#checked ??= new Uint8Array(bytes);
    this.#checked[block >>> 3] = (this.#checked[block >>> 3] ?? 0) | (1 << (block & 7));
  }

  get #markBytes(): number {
    return this.blockSize === 0 ? 0 : Math.ceil(this.size / this.blockSize / 8);
  }

  /**
   * Reads bytes before the footer; fewer at its start.
   *
   * @throws {TableVanished} when the file was removed.
   */
  read(position: number, length: number): Buffer {
    const end = Math.min(position + length, this.size);
    if (this.#whole !== undefined) return this.#whole.subarray(position, end);
    using _ = this.hold();
    const bytes = readFrom(this.#fd ?? -1, position, Math.max(0, end - position));
    if (bytes.length < end - position) throw broken('a table became shorter');
    return bytes;
  }

  /** Keeps the file open until the result is disposed. @throws as {@link read}. */
  hold(): Disposable {
    if (this.#whole === undefined && this.#fd === undefined) {
      const { fd, stats } = openTable(this.path);
      if (identityOf(stats) !== this.#stamp) {
        closeSync(fd);
        throw new TableVanished(this.path);
      }
      this.#fd = fd;
    }
    this.#holders++;
    return { [Symbol.dispose]: () => this.#release() };
  }

  #release(): void {
    if (--this.#holders > 0 || this.#fd === undefined) return;
    closeSync(this.#fd);
    this.#fd = undefined;
  }
}

function identityOf(stats: Stats): string {
  return stampOf(stats);
}

function openTable(path: string): { fd: number; stats: Stats } {
  let fd: number;
  try {
    fd = openSync(path, 'r');
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') throw new TableVanished(path);
    throw error;
  }
  try {
    return { fd, stats: fstatSync(fd) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function readFrom(fd: number, position: number, length: number): Buffer {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  while (filled < length) {
    const count = readSync(fd, bytes, filled, length - filled, position + filled);
    if (count === 0) break;
    filled += count;
  }
  return bytes.subarray(0, filled);
}

function readLayout(fileSize: number, read: (position: number, length: number) => Buffer): Layout {
  const head = read(0, (HEADER_BYTES[2] ?? 0) + 1);
  const version = head[MAGIC.length] ?? 0;
  const headerBytes = HEADER_BYTES[version];
  if (headerBytes === undefined || head.toString('latin1', 0, MAGIC.length) !== MAGIC)
    throw broken('a header is unknown');
  const footerBytes = headerBytes + FOOTER_BYTES;
  if (fileSize < headerBytes + footerBytes) throw broken('a table is too short');
  const size = fileSize - footerBytes;
  const footer = read(size, footerBytes);
  if (footer.length < footerBytes) throw broken('a table became shorter');
  if (footer.compare(head, 0, headerBytes, 0, headerBytes) !== 0)
    throw broken('header and footer are different');
  const crcAt = footerBytes - CRC_BYTES;
  if (crc32(footer.subarray(0, crcAt)) !== footer.readUInt32BE(crcAt))
    throw broken('a footer has a wrong checksum');
  const hash = version === 1 ? 'sha1' : head.toString('latin1', HASH_POSITION, headerBytes);
  const oidBytes = HASHES[hash];
  if (oidBytes === undefined) throw broken('a hash is unknown');
  const indexPosition = footer.readBigUInt64BE(headerBytes);
  if (indexPosition >= size) throw broken('an index is outside of the table');
  const first = BLOCK_TYPES[head[headerBytes] ?? 0];
  return {
    headerBytes,
    oidBytes,
    blockSize: head.readUIntBE(BLOCK_SIZE_POSITION, 3),
    size,
    indexPosition: Number(indexPosition),
    hasRefs: first === 'ref',
    // In a table without references their position is 0.
    hasLogs: first === 'log' || footer.readBigUInt64BE(headerBytes + LOG_POSITION) > 0n,
  };
}
