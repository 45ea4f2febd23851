/** Number of items per message in Gitaly's own clients. */
const ITEMS_PER_MESSAGE = 100;

/** Collects items into groups of at most 100, one message each. No items give no group. */
export async function* splitItems<T>(
  items: Iterable<T> | AsyncIterable<T>,
): AsyncGenerator<T[], void, undefined> {
  let group: T[] = [];
  for await (const item of items) {
    group.push(item);
    if (group.length < ITEMS_PER_MESSAGE) continue;
    yield group;
    group = [];
  }
  if (group.length > 0) yield group;
}
