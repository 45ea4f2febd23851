/**
 * Joins small pieces and splits large ones into pieces of at most `maxBytes`, in the same order.
 * Copies only joined pieces, and holds at most `maxBytes`.
 */
export function* evenPieces(pieces: Iterable<Buffer>, maxBytes: number): Generator<Buffer> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for (const piece of pieces) {
    if (heldBytes + piece.length > maxBytes) {
      if (heldBytes > 0) yield joined(held, heldBytes);
      held = [];
      heldBytes = 0;
      let start = 0;
      for (; piece.length - start > maxBytes; start += maxBytes)
        yield piece.subarray(start, start + maxBytes);
      held.push(start === 0 ? piece : piece.subarray(start));
      heldBytes = piece.length - start;
    } else if (piece.length > 0) {
      held.push(piece);
      heldBytes += piece.length;
    }
  }
  if (heldBytes > 0) yield joined(held, heldBytes);
}

function joined(pieces: readonly Buffer[], bytes: number): Buffer {
  const [only] = pieces;
  return pieces.length === 1 && only !== undefined ? only : Buffer.concat(pieces, bytes);
}
