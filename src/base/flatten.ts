/** The items of batches, one by one. */
export async function* flatten<T>(batches: AsyncIterable<Iterable<T>>): AsyncGenerator<T, void, undefined> {
  for await (const batch of batches) for (const item of batch) yield item;
}
