import type { Block, BlockType } from './block.ts';
import type { BlockCache, PlacedBlock } from './block-cache.ts';
import { broken } from './broken.ts';
import { STACK_LIMITS } from './limits.ts';
import type { Table } from './table.ts';

/** A position in the references of a table, in the order of names. */
export class TableCursor {
  readonly #table: Table;
  readonly #blocks: BlockCache;
  #placed: PlacedBlock | undefined;
  #record = 0;

  constructor(table: Table, blocks: BlockCache) {
    this.#table = table;
    this.#blocks = blocks;
  }

  /** Block of the current record; `undefined` behind the last one. */
  get block(): Block | undefined {
    return this.#placed?.block;
  }

  /** Number of the current record in its block. */
  get record(): number {
    return this.#record;
  }

  /**
   * Moves to the first record whose name is not below `name`.
   *
   * @throws {TableVanished}; {FallBackToGit} when the table is damaged.
   */
  seek(name: Buffer): void {
    this.#placed = this.#find(name);
    this.#record = this.#placed?.block.position(name) ?? 0;
  }

  /**
   * Returns a block with the record of a name, if the table has one, and its number. Does not move.
   *
   * @throws as {@link seek}.
   */
  lookUp(name: Buffer): { readonly block: Block; readonly record: number } | undefined {
    const block = this.#find(name, true)?.block;
    if (block === undefined) return undefined;
    const record = block.position(name);
    return record < block.count && block.compare(record, name) === 0 ? { block, record } : undefined;
  }

  /** Moves to the next record. @throws as {@link seek}. */
  next(): void {
    this.moveTo(this.#record + 1);
  }

  /** Moves to a record of the block, or to the next block from its end. @throws as {@link seek}. */
  moveTo(record: number): void {
    const placed = this.#placed;
    this.#record = record;
    if (placed === undefined || record < placed.block.count) return;
    const following = this.#at(placed.next, 'ref');
    if (following !== undefined) checkOrder(placed.block, following.block);
    this.#placed = following;
    this.#record = 0;
  }

  /** Finds the block where a name would be. @param isLookup or only the records around it. */
  #find(name: Buffer, isLookup = false): PlacedBlock | undefined {
    const { hasRefs, indexPosition } = this.#table;
    if (!hasRefs) return undefined;
    if (indexPosition === 0) return this.#findFrom(0, 'ref', name);
    let placed = this.#findFrom(indexPosition, 'index', name);
    for (let level = 0; placed?.block.type === 'index'; level++) {
      if (level === STACK_LIMITS.levels) throw broken('an index has too many levels');
      const { block } = placed;
      const record = block.position(name);
      const part = isLookup ? this.#blocks.around(this.#table, block.target(record), name) : undefined;
      placed = part ?? this.#below(block, record);
    }
    return placed;
  }

  /** Returns the first block of adjacent ones that has a name not below `name`. */
  #findFrom(start: number, type: BlockType, name: Buffer): PlacedBlock | undefined {
    let placed = this.#at(start, type);
    if (placed === undefined) throw broken('a block is missing');
    for (let seen = 1; lastCompare(placed.block, name) < 0; seen++) {
      if (seen === STACK_LIMITS.linearBlocks) throw broken('many blocks have no index');
      const following = this.#at(placed.next, type);
      if (following === undefined) return undefined;
      checkOrder(placed.block, following.block);
      placed = following;
    }
    return placed;
  }

  /** Returns the block to which a record of an index leads. */
  #below(index: Block, record: number): PlacedBlock {
    const placed = this.#blocks.get(this.#table, index.target(record));
    if (placed === undefined) throw broken('an index leads to no references');
    if (lastCompare(placed.block, index.name(record)) !== 0)
      throw broken('an index has another name than its block');
    if (placed.block.type === 'ref') this.#table.markChecked(index.target(record));
    return placed;
  }

  #at(position: number, type: BlockType): PlacedBlock | undefined {
    const placed = this.#blocks.get(this.#table, position);
    return placed?.block.type === type ? placed : undefined;
  }
}

function lastCompare(block: Block, name: Buffer): number {
  return block.compare(block.count - 1, name);
}

function checkOrder(block: Block, following: Block): void {
  if (lastCompare(block, following.name(0)) >= 0) throw broken('blocks are not in order');
}
