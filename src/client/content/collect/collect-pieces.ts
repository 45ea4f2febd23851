import { GitalyError } from '#base/gitaly-error';

const NOTHING = Buffer.alloc(0);

/**
 * Rules for joining the pieces of a stream. At least one of `begins` and `ends` marks the
 * boundaries.
 */
export interface PieceRules<Piece, Whole> {
  /** Reports whether this piece is the first of the next object. */
  begins?(piece: Piece): boolean;
  /**
   * Reports whether this piece is the last of its object. An object without a last piece is
   * omitted, as in Gitaly's other clients.
   */
  ends?(piece: Piece): boolean;
  /** Reports whether a piece has no content; it is then omitted. */
  isEmpty?(piece: Piece): boolean;
  /** Returns the fields that continue from piece to piece. */
  bytesOf(piece: Piece): readonly Uint8Array[];
  /** Builds an object from its first piece and the joined bytes, in the order of `bytesOf`. */
  whole(first: Piece, ...joined: readonly Buffer[]): Whole;
}

/**
 * Joins consecutive pieces into whole objects, of which one is in memory at a time.
 *
 * @throws {GitalyError} INTERNAL for a piece without a first piece.
 */
export async function* collectPieces<Piece, Whole>(
  pieces: AsyncIterable<Piece>,
  rules: PieceRules<Piece, Whole>,
): AsyncGenerator<Whole, void, undefined> {
  let first: Piece | undefined;
  let held: Uint8Array[][] = [];
  for await (const piece of pieces) {
    if (rules.isEmpty?.(piece)) continue;
    if (first === undefined || rules.begins?.(piece)) {
      if (first !== undefined) yield rules.whole(first, ...held.map(joinBytes));
      if (rules.begins?.(piece) === false)
        throw new GitalyError('INTERNAL', 'the server sent data that continues nothing');
      first = piece;
      held = [];
    }
    for (const [index, bytes] of rules.bytesOf(piece).entries()) {
      held[index] ??= [];
      held[index].push(bytes);
    }
    if (!rules.ends?.(piece)) continue;
    yield rules.whole(first, ...held.map(joinBytes));
    first = undefined;
  }
  if (first !== undefined && rules.ends === undefined) yield rules.whole(first, ...held.map(joinBytes));
}

/** Joins many arrays into one; without a copy if only one of them has any bytes. */
export function joinBytes(arrays: readonly Uint8Array[]): Buffer {
  const filled = arrays.filter(({ byteLength }) => byteLength > 0);
  const [only] = filled;
  if (only === undefined) return NOTHING;
  return filled.length === 1
    ? Buffer.from(only.buffer, only.byteOffset, only.byteLength)
    : Buffer.concat(filled);
}
