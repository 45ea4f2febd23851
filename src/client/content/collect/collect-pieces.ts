import { GitalyError } from '#base/gitaly-error';

const NOTHING = Buffer.alloc(0);

/** How the pieces of a stream become whole things. At least one of `begins` and `ends` says where one thing stops. */
export interface PieceRules<Piece, Whole> {
  /** Whether this piece is the first of the next thing. */
  begins?(piece: Piece): boolean;
  /** Whether this piece is the last of its thing. A thing without a last piece is left out, as Gitaly's other clients do. */
  ends?(piece: Piece): boolean;
  /** A piece that says nothing; it is left out. */
  isEmpty?(piece: Piece): boolean;
  /** The fields that continue from piece to piece. */
  bytesOf(piece: Piece): readonly Uint8Array[];
  /** Makes a thing from its first piece and the joined bytes, in the order of `bytesOf`. */
  whole(first: Piece, ...joined: readonly Buffer[]): Whole;
}

/**
 * Joins pieces that arrive one after another into whole things, of which one is in memory at a time.
 *
 * @throws {GitalyError} INTERNAL for a piece that continues nothing.
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
      if (rules.begins?.(piece) === false) throw new GitalyError('INTERNAL', 'the server sent data that continues nothing');
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

/** The bytes of many arrays in one; without a copy where only one of them has any. */
export function joinBytes(arrays: readonly Uint8Array[]): Buffer {
  const filled = arrays.filter(({ byteLength }) => byteLength > 0);
  const [only] = filled;
  if (only === undefined) return NOTHING;
  return filled.length === 1 ? Buffer.from(only.buffer, only.byteOffset, only.byteLength) : Buffer.concat(filled);
}
