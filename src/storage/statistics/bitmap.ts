import { wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { readStart } from './read-start.ts';

const HEADER_BYTES = 8;
const HAS_HASH_CACHE = 0x4;
const HAS_LOOKUP_TABLE = 0x10;

/** Header of a reachability bitmap. */
export interface Bitmap {
  readonly version: number;
  readonly hasHashCache: boolean;
  readonly hasLookupTable: boolean;
}

/**
 * Reads the header of a bitmap of a pack or of a multi-pack-index.
 *
 * @throws {GitalyError} INTERNAL when it is not a bitmap, or of an unknown version.
 * @see git: Documentation/technical/bitmap-format.adoc
 */
export async function readBitmap(file: string): Promise<Bitmap> {
  const header = await readStart(file, HEADER_BYTES).catch(wrapped('reading bitmap header'));
  const signature = header.subarray(0, 4);
  if (signature.toString('latin1') !== 'BITM')
    throw new Error(`invalid bitmap signature: ${quote(signature)}`);
  const version = header.readUInt16BE(4);
  if (version !== 1) throw new Error(`unsupported version: ${version}`);

  const flags = header.readUInt16BE(6);
  return {
    version,
    hasHashCache: (flags & HAS_HASH_CACHE) !== 0,
    hasLookupTable: (flags & HAS_LOOKUP_TABLE) !== 0,
  };
}
