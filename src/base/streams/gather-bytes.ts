/**
 * Joins small pieces of a source and splits large ones, into pieces of at most `maxBytes`. Yields
 * nothing for no bytes, and holds at most `maxBytes`.
 */
export async function* gatherBytes(
  source: AsyncIterable<Buffer>,
  maxBytes: number,
): AsyncGenerator<Buffer, void, undefined> {
  let held: Buffer[] = [];
  let heldBytes = 0;
  for await (const piece of source) {
    let left = piece;
    while (heldBytes + left.length >= maxBytes) {
      const fitting = maxBytes - heldBytes;
      yield Buffer.concat([...held, left.subarray(0, fitting)]);
      left = left.subarray(fitting);
      held = [];
      heldBytes = 0;
    }
    if (left.length > 0) held.push(left);
    heldBytes += left.length;
  }
  if (heldBytes > 0) yield Buffer.concat(held);
}
