/**
 * Splits bytes in several buffers into pieces of exactly `size` bytes (the last one may be
 * shorter). A piece in one buffer is a view; only a piece that spans buffers is a copy. Empty input
 * gives no piece.
 */
export function* piecesOfPatch(buffers: readonly Buffer[], size: number): Generator<Buffer> {
  let begun: Buffer[] = [];
  let missing = size;
  for (const buffer of buffers) {
    let at = 0;
    while (buffer.length - at >= missing) {
      const part = buffer.subarray(at, at + missing);
      at += missing;
      yield begun.length === 0 ? part : Buffer.concat([...begun, part]);
      begun = [];
      missing = size;
    }
    if (at < buffer.length) {
      begun.push(buffer.subarray(at));
      missing -= buffer.length - at;
    }
  }
  const [only] = begun;
  if (only !== undefined) yield begun.length === 1 ? only : Buffer.concat(begun);
}
