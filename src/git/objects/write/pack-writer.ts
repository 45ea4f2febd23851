import { createHash } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { systemErrorCode } from '#base/go/system-error';
import type { ObjectType } from '#git/names/object-info';
import type { ObjectFormatName } from '#git/repository-files/repository-format';
import { entryHeader, PACK_HEADER_BYTES, packHeader } from '../pack-header.ts';
import { deflated } from './deflate.ts';
import { TempObject, writeAll } from './write-loose.ts';

interface PackedEntry {
  readonly oid: string;
  /** Position of its beginning in the pack. */
  readonly offset: number;
  readonly crc32: number;
}

/** Offsets from this value on are stored in a separate table. */
const LARGE_OFFSET = 0x80000000;

/**
 * Writes one pack without deltas, with its index, next to the other packs of an object directory.
 * Nothing is visible before {@link finish}.
 */
export class PackWriter implements AsyncDisposable {
  readonly #directory: string;
  readonly #format: ObjectFormatName;
  readonly #entries: PackedEntry[] = [];
  #temp: TempObject | undefined;
  #offset = PACK_HEADER_BYTES;
  /** The last write; entries are compressed concurrently and written one after the other. */
  #lastWrite: Promise<void> = Promise.resolve();

  constructor(objectDirectory: string, objectFormat: ObjectFormatName) {
    this.#directory = `${objectDirectory}/pack`;
    this.#format = objectFormat;
  }

  /** Adds an object; each object may be added once. */
  async add({ oid, type, data }: { oid: string; type: ObjectType; data: Uint8Array }): Promise<void> {
    const compressed = await deflated(data);
    const entry = Buffer.concat([entryHeader(type, data.length), compressed]);
    const write = this.#lastWrite.then(() => this.#append(oid, entry));
    this.#lastWrite = write;
    await write;
  }

  /** Moves the pack into the object directory. All {@link add} must have resolved. */
  async finish(): Promise<void> {
    if (this.#temp === undefined) return;
    const { file } = this.#temp;
    await writeAll(file, packHeader(this.#entries.length), 0);
    const hash = createHash(this.#format);
    for await (const piece of file.createReadStream({
      start: 0,
      autoClose: false,
      highWaterMark: 256 * 1024,
    }))
      hash.update(piece);
    const checksum = hash.digest();
    await writeAll(file, checksum, this.#offset);
    await file.sync();
    await using index = await TempObject.create(this.#directory, 'tmp_idx_');
    await writeAll(index.file, packIndex(this.#entries, checksum, this.#format));
    await index.file.sync();
    const name = `${this.#directory}/pack-${checksum.toString('hex')}`;
    // A pack is visible once its index exists.
    await this.#temp.renameTo(`${name}.pack`);
    await index.renameTo(`${name}.idx`);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#temp?.[Symbol.asyncDispose]();
  }

  async #append(oid: string, entry: Buffer): Promise<void> {
    this.#temp ??= await this.#create();
    await writeAll(this.#temp.file, entry, this.#offset);
    this.#entries.push({ oid, offset: this.#offset, crc32: crc32(entry) });
    this.#offset += entry.length;
  }

  async #create(): Promise<TempObject> {
    try {
      return await TempObject.create(this.#directory, 'tmp_pack_');
    } catch (error) {
      if (systemErrorCode(error) !== 'ENOENT') throw error;
      await mkdir(this.#directory, { recursive: true });
      return await TempObject.create(this.#directory, 'tmp_pack_');
    }
  }
}

/** Returns the contents of a pack's index, version 2. @see gitformat-pack(5) */
function packIndex(
  entries: readonly PackedEntry[],
  packChecksum: Buffer,
  objectFormat: ObjectFormatName,
): Buffer {
  const sorted = entries.toSorted((a, b) => (a.oid < b.oid ? -1 : 1));
  const fanOut = Buffer.alloc(256 * 4);
  const checksums = Buffer.alloc(sorted.length * 4);
  const offsets = Buffer.alloc(sorted.length * 4);
  const largeOffsets: Buffer[] = [];
  const counts = new Array<number>(256).fill(0);
  for (const [at, { oid, offset, crc32 }] of sorted.entries()) {
    const first = Number.parseInt(oid.slice(0, 2), 16);
    counts[first] = (counts[first] ?? 0) + 1;
    checksums.writeUInt32BE(crc32, at * 4);
    if (offset < LARGE_OFFSET) offsets.writeUInt32BE(offset, at * 4);
    else {
      offsets.writeUInt32BE(LARGE_OFFSET + largeOffsets.length, at * 4);
      const large = Buffer.alloc(8);
      large.writeBigUInt64BE(BigInt(offset));
      largeOffsets.push(large);
    }
  }
  let total = 0;
  for (const [at, count] of counts.entries()) {
    total += count;
    fanOut.writeUInt32BE(total, at * 4);
  }
  const names = Buffer.from(sorted.map(({ oid }) => oid).join(''), 'hex');
  const body = [
    Buffer.from('\xfftOc\0\0\0\u0002', 'latin1'),
    fanOut,
    names,
    checksums,
    offsets,
    ...largeOffsets,
    packChecksum,
  ];
  const hash = createHash(objectFormat);
  for (const part of body) hash.update(part);
  return Buffer.concat([...body, hash.digest()]);
}
