/** How many bytes of an object are sent under a limit of a request: 0 none, negative all. */
export function bytesWithin(limit: bigint, size: number): number {
  return limit < 0n || limit > BigInt(size) ? size : Number(limit);
}
