/** Bytes in addition to the data: headers of the stream and the block, and the checksum. */
export const STORED_OVERHEAD = 11;

/** The header of a zlib stream of the fastest level, as zlib writes it. */
const STREAM = [0x78, 0x01] as const;
/** The last block, without compression. */
const LAST_STORED = 0x01;
/** Limit of a block. */
const MAX_BLOCK_BYTES = 0xffff;

/** Returns data as a zlib stream without compression. @throws {RangeError} above 65,535 bytes. */
export function deflateStored(data: Buffer): Buffer {
  if (data.length > MAX_BLOCK_BYTES) throw new RangeError('too long for a block');
  const stream = Buffer.allocUnsafe(data.length + STORED_OVERHEAD);
  let at = 0;
  for (const byte of [...STREAM, LAST_STORED]) at = stream.writeUInt8(byte, at);
  at = stream.writeUInt16LE(data.length, at);
  at = stream.writeUInt16LE(~data.length & MAX_BLOCK_BYTES, at);
  at += data.copy(stream, at);
  stream.writeUInt32BE(adler32(data), at);
  return stream;
}

const MODULUS = 65_521;
/** Bytes after which the sums need to be reduced: they stay exact. */
const BYTES_PER_PART = 5552;

function adler32(data: Buffer): number {
  let [low, high] = [1, 0];
  for (let start = 0; start < data.length; start += BYTES_PER_PART) {
    const end = Math.min(start + BYTES_PER_PART, data.length);
    for (let at = start; at < end; at++) {
      low += data[at] ?? 0;
      high += low;
    }
    low %= MODULUS;
    high %= MODULUS;
  }
  return high * 65_536 + low;
}
