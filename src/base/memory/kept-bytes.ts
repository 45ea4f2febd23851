/**
 * Joins bytes that a cache is to keep, in memory of their own. Small buffers are usually slices of
 * Node's pool, and one slice that is kept holds all 64 KiB of it.
 */
export function keptBytes(chunks: readonly Uint8Array[]): Buffer {
  const own = Buffer.allocUnsafeSlow(chunks.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const chunk of chunks) {
    own.set(chunk, at);
    at += chunk.length;
  }
  return own;
}
