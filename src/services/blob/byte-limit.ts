/**
 * Returns the number of bytes of an object to send under the limit of a request: 0 means none, a
 * negative limit all.
 */
export function bytesWithin(limit: bigint, size: number): number {
  return limit < 0n || limit > BigInt(size) ? size : Number(limit);
}
