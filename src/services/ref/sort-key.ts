import { SortDirection } from '#wire/gen/shared_pb';

/**
 * Returns a key of `for-each-ref --sort` with its direction; `undefined` for an unknown direction.
 */
export function sortKey(name: string, direction: number): string | undefined {
  if (direction === SortDirection.ASCENDING) return name;
  return direction === SortDirection.DESCENDING ? `-${name}` : undefined;
}
