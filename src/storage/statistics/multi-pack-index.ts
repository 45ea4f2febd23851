import { wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { readStart } from './read-start.ts';

const HEADER_BYTES = 12;
const CHUNK_ENTRY_BYTES = 12;

export interface MultiPackIndexInfo {
  readonly version: number;
  readonly packfileCount: number;
  readonly hasLargeOffsets: boolean;
  readonly hasBitmappedPacks: boolean;
  readonly hasReverseIndex: boolean;
}

/**
 * Reads the header and the table of contents of a multi-pack-index.
 *
 * @throws {Error} when it is not one, or of an unknown format.
 * @see git: Documentation/gitformat-pack.adoc
 */
export async function readMultiPackIndexInfo(file: string): Promise<MultiPackIndexInfo> {
  const header = await readStart(file, HEADER_BYTES).catch(wrapped('reading header'));
  const signature = header.subarray(0, 4);
  if (signature.toString('latin1') !== 'MIDX') throw new Error(`invalid signature: ${quote(signature)}`);
  const version = header.readUInt8(4);
  if (version !== 1) throw new Error(`invalid version: ${version}`);
  const baseFiles = header.readUInt8(7);
  if (baseFiles !== 0) throw new Error(`unsupported number of base files: ${baseFiles}`);

  const chunks = await chunkNames(file, header.readUInt8(6));
  return {
    version,
    packfileCount: header.readUInt32BE(8),
    hasLargeOffsets: chunks.has('LOFF'),
    hasBitmappedPacks: chunks.has('BTMP'),
    hasReverseIndex: chunks.has('RIDX'),
  };
}

async function chunkNames(file: string, count: number): Promise<ReadonlySet<string>> {
  const bytes = await readStart(file, HEADER_BYTES + count * CHUNK_ENTRY_BYTES).catch(
    wrapped('reading table of contents'),
  );
  const names = new Set<string>();
  for (let at = HEADER_BYTES; at < bytes.length; at += CHUNK_ENTRY_BYTES)
    names.add(bytes.toString('latin1', at, at + 4));
  return names;
}
