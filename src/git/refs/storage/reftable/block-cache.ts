import { BoundedMap } from '#base/memory/bounded-map';
import { BLOCK_HEAD_BYTES, BLOCK_TYPES, Block } from './block.ts';
import { broken } from './broken.ts';
import { STACK_CACHES, STACK_LIMITS } from './limits.ts';
import type { Table } from './table.ts';

/** Bytes of the first read of a block without alignment; git's default size. */
const GUESS_BYTES = 4096;

/** A block at a place of a table. */
export interface PlacedBlock {
  readonly block: Block;
  /** Position of the block that follows. */
  readonly next: number;
}

/** Decoded blocks, shared by all repositories. */
export class BlockCache {
  readonly #blocks: BoundedMap<string, PlacedBlock>;

  /** Creates the cache. @param maxBytes default: the limit for a server. */
  constructor(maxBytes: number = STACK_CACHES.blockBytes) {
    this.#blocks = new BoundedMap({
      maxEntries: Math.max(1, maxBytes / 100),
      maxWeight: maxBytes,
      weigh: ({ block }) => block.weight,
    });
  }

  /** Bytes of all blocks. */
  get weight(): number {
    return this.#blocks.weight;
  }

  /**
   * Returns the records among which a name would be, of the block at a position. A block that is
   * not kept is decoded as a whole only the first time.
   *
   * @throws as {@link get}.
   */
  around(table: Table, position: number, name: Buffer): PlacedBlock | undefined {
    return table.isChecked(position) ? readBlock(table, position, name) : undefined;
  }

  /**
   * Returns the block at a position; `undefined` at the end of the table, and before a block that
   * leads to no references. A large table's blocks of references are not kept: few are needed again
   * soon, and blocks that are kept for a short time make the heap grow to ten times the cache.
   *
   * @throws {TableVanished}; {FallBackToGit} when it is damaged.
   */
  get(table: Table, position: number): PlacedBlock | undefined {
    const key = `${table.id}:${position}`;
    const known = this.#blocks.get(key);
    if (known !== undefined) return known;
    const read = readBlock(table, position);
    if (read === undefined) return undefined;
    if (read.block.type === 'index' || table.size <= STACK_LIMITS.keptBytes) this.#blocks.set(key, read);
    return read;
  }
}

/**
 * Reads a block.
 *
 * @param around only the records among which a name would be, of a block that was checked.
 */
function readBlock(table: Table, position: number, around?: Buffer): PlacedBlock | undefined {
  if (position >= table.size) return undefined;
  const headerBytes = position === 0 ? table.headerBytes : 0;
  using _ = table.hold();
  // One byte more shows whether padding follows.
  const guess = (table.blockSize === 0 ? GUESS_BYTES : table.blockSize) + 1;
  let data = table.read(position, Math.min(guess, STACK_LIMITS.blockBytes));
  if (data.length < headerBytes + BLOCK_HEAD_BYTES) throw broken('a block ends early');
  const type = BLOCK_TYPES[data[headerBytes] ?? 0];
  if (type === undefined) throw broken('a block has an unknown type');
  if (type === 'log' || type === 'object') return undefined;
  const length = data.readUIntBE(headerBytes + 1, 3);
  // git continues at the next aligned position, which would be inside such a block.
  const isTooLarge = table.blockSize > 0 && length > table.blockSize;
  if (isTooLarge || length > STACK_LIMITS.blockBytes) throw broken('a block is too large');
  if (length > data.length) data = table.read(position, length);
  if (length > data.length) throw broken('a block ends early');
  const bytes = { data: data.subarray(0, length), headerBytes, oidBytes: table.oidBytes };
  const block = new Block(type, bytes, around);
  return { block, next: position + fullLength(table, data, length) };
}

/** Returns the length of a block with its padding. An unaligned block is followed by another. */
function fullLength({ blockSize }: Table, data: Buffer, length: number): number {
  const isPadded = length < blockSize && (length >= data.length || data[length] === 0);
  return isPadded ? blockSize : length;
}
