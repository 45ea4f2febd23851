/** Yields all but the last `endBytes` bytes. `onEnd` receives those at the end of the stream. */
export async function* exceptEnd(
  pieces: AsyncIterable<Buffer>,
  endBytes: number,
  onEnd?: (end: Buffer) => void,
): AsyncGenerator<Buffer, void, undefined> {
  let held = Buffer.alloc(0);
  for await (const piece of pieces) {
    const excess = held.length + piece.length - endBytes;
    if (excess <= 0) {
      held = Buffer.concat([held, piece]);
      continue;
    }
    if (excess < held.length) {
      yield held.subarray(0, excess);
      held = Buffer.concat([held.subarray(excess), piece]);
      continue;
    }
    if (held.length > 0) yield held;
    const end = piece.length - endBytes;
    if (end > 0) yield piece.subarray(0, end);
    held = Buffer.from(piece.subarray(end));
  }
  onEnd?.(held);
}
