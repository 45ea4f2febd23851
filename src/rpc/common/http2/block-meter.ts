import { BlockReader, malformed } from './block-reader.ts';
import { PAIR_OVERHEAD_BYTES, STATIC_TABLE } from './static-table.ts';

/** The default of SETTINGS_HEADER_TABLE_SIZE, which no side changes upwards. */
const MAX_TABLE_BYTES = 4096;

/** Size of a list of headers, each pair with 32 bytes more (RFC 9113, section 6.5.2). */
export interface ListSize {
  readonly bytes: number;
  readonly pairs: number;
}

/** A header in a table, without its text. */
interface Entry {
  readonly nameBytes: number;
  readonly bytes: number;
}

const STATIC_SIZES: readonly (Entry | undefined)[] = STATIC_TABLE.map(
  (entry) => entry && sizeOf(entry.name.length, entry.value.length),
);

/**
 * Measures the header lists that the blocks of a connection expand to. One byte of a block may
 * represent a header of 4 KiB, so the meter tracks the sizes in the sender's dynamic table (RFC
 * 7541, section 2.3.2).
 */
export class BlockMeter {
  /** Sizes of the entries, the oldest first: at most 128, as each counts 32 bytes or more. */
  readonly #table: Entry[] = [];
  #tableBytes = 0;
  #maxTableBytes = MAX_TABLE_BYTES;

  /**
   * Measures the next block of the connection, from the first frame to the last.
   *
   * @throws {ConnectionError} for a block that is malformed; later ones cannot be measured then.
   */
  measure(block: Buffer): ListSize {
    const reader = new BlockReader(block);
    let bytes = 0;
    let pairs = 0;
    while (!reader.isAtEnd) {
      const first = reader.peek();
      if (first >= 0x20 && first < 0x40) {
        this.#resize(reader.number(5));
        continue;
      }
      const entry = first >= 0x80 ? this.#entry(reader.number(7)) : this.#literal(reader, first);
      bytes += entry.bytes;
      pairs++;
    }
    return { bytes, pairs };
  }

  #literal(reader: BlockReader, first: number): Entry {
    const isAdded = first >= 0x40;
    const index = reader.number(isAdded ? 6 : 4);
    const nameBytes = index === 0 ? reader.string().length : this.#entry(index).nameBytes;
    const entry = sizeOf(nameBytes, reader.string().length);
    if (isAdded) this.#add(entry);
    return entry;
  }

  #entry(index: number): Entry {
    const entry = STATIC_SIZES[index] ?? this.#table[this.#table.length + STATIC_SIZES.length - 1 - index];
    if (entry === undefined) throw malformed(`no header has index ${index}`);
    return entry;
  }

  #resize(bytes: number): void {
    if (bytes > MAX_TABLE_BYTES) throw malformed('a change of the table');
    this.#maxTableBytes = bytes;
    this.#evict();
  }

  #add(entry: Entry): void {
    this.#table.push(entry);
    this.#tableBytes += entry.bytes;
    this.#evict();
  }

  #evict(): void {
    while (this.#tableBytes > this.#maxTableBytes) this.#tableBytes -= this.#table.shift()?.bytes ?? 0;
  }
}

function sizeOf(nameBytes: number, valueBytes: number): Entry {
  return { nameBytes, bytes: nameBytes + valueBytes + PAIR_OVERHEAD_BYTES };
}
