import { FallBackToGit } from '../command/in-process.ts';

/** A compressed bitmap in the bytes of a file, as git stores it. */
export interface EwahBitmap {
  /** Positions of its words. */
  readonly start: number;
  readonly end: number;
  /** Position after the bitmap. */
  readonly next: number;
}

/** Number of bits, and of words. */
const HEADER_BYTES = 8;
/** Position of the last marker, which only writers need. */
const TRAILER_BYTES = 4;
const WORD_BYTES = 8;

/**
 * Finds the end of the bitmap that begins at a position.
 *
 * @throws {FallBackToGit} when the bytes end before.
 * @see git: Documentation/technical/bitmap-format.adoc, Appendix A
 */
export function ewahAt(bytes: Buffer, at: number): EwahBitmap {
  const start = at + HEADER_BYTES;
  if (start > bytes.length) throw damaged();
  const end = start + bytes.readUInt32BE(at + 4) * WORD_BYTES;
  const next = end + TRAILER_BYTES;
  if (next > bytes.length) throw damaged();
  return { start, end, next };
}

/**
 * Inverts the bits that are set in a compressed bitmap. git stores most bitmaps as their difference
 * from another one.
 *
 * @param bits 32 in each number, the lowest first; an even count of numbers.
 * @throws {FallBackToGit} when the bitmap is longer.
 */
export function invert(bits: Uint32Array, bytes: Buffer, { start, end }: EwahBitmap): void {
  let to = 0;
  for (let at = start; at < end; ) {
    // A marker: the repeated bit, 32 bits for the number of its words, 31 for that of the others.
    const [high, low] = [bytes.readUInt32BE(at), bytes.readUInt32BE(at + 4)];
    at += WORD_BYTES;
    const repeated = 2 * ((low >>> 1) + (high & 1) * 2 ** 31);
    const stored = 2 * (high >>> 1);
    if ((low & 1) === 1) {
      if (to + repeated > bits.length) throw damaged();
      for (let index = to; index < to + repeated; index++) bits[index] = ~(bits[index] ?? 0);
    }
    to += repeated;
    if (stored > 0 && (to + stored > bits.length || at + stored * 4 > end)) throw damaged();
    for (const stop = to + stored; to < stop; to += 2, at += WORD_BYTES) {
      bits[to] = (bits[to] ?? 0) ^ bytes.readUInt32BE(at + 4);
      bits[to + 1] = (bits[to + 1] ?? 0) ^ bytes.readUInt32BE(at);
    }
  }
}

export function damaged(): FallBackToGit {
  return new FallBackToGit('a bitmap is damaged');
}
