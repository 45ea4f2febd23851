import { BlockReader, malformed } from './block-reader.ts';
import { PAIR_OVERHEAD_BYTES, STATIC_TABLE } from './static-table.ts';

/** Size of a table before our setting of 0 has arrived. */
const MAX_TABLE_BYTES = 4096;

export interface ListLimits {
  readonly maxListBytes: number;
  readonly maxPairs: number;
}

/**
 * Decodes a block of headers (RFC 7541) of a peer that may not use a dynamic table. So every
 * block is decoded by itself, and may also be skipped.
 *
 * @returns names and values, a character for each byte; undefined for a list above the limits.
 * @throws {ConnectionError} for a block that is malformed or refers to a dynamic table.
 */
export function decodeHeaders(block: Buffer, { maxListBytes, maxPairs }: ListLimits): string[] | undefined {
  const reader = new BlockReader(block);
  const pairs: string[] = [];
  let listBytes = 0;
  while (!reader.isAtEnd) {
    const first = reader.peek();
    if (first >= 0x20 && first < 0x40) {
      if (pairs.length > 0 || reader.number(5) > MAX_TABLE_BYTES) throw malformed('a change of the table');
      continue;
    }
    const { name, value } = first >= 0x80 ? staticHeader(reader.number(7)) : literal(reader, first);
    listBytes += name.length + value.length + PAIR_OVERHEAD_BYTES;
    if (listBytes > maxListBytes || pairs.length >= maxPairs * 2) return undefined;
    pairs.push(name, value);
  }
  return pairs;
}

/**
 * Reads a literal. Whether the peer adds it to its table does not matter, because this decoder
 * keeps no table.
 */
function literal(reader: BlockReader, first: number): { readonly name: string; readonly value: string } {
  const index = reader.number(first >= 0x40 ? 6 : 4);
  const name = index === 0 ? reader.string() : staticHeader(index).name;
  return { name, value: reader.string() };
}

function staticHeader(index: number): { readonly name: string; readonly value: string } {
  const header = STATIC_TABLE[index];
  if (header === undefined) throw malformed(`no header has index ${index}`);
  return header;
}
