import { SortDirection } from '#wire/gen/shared_pb';

/** A key of `for-each-ref --sort` with its direction; `undefined` for a direction that there is not. */
export function sortKey(name: string, direction: number): string | undefined {
  if (direction === SortDirection.ASCENDING) return name;
  return direction === SortDirection.DESCENDING ? `-${name}` : undefined;
}
