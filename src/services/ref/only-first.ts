/** The first item of a list that comes in batches; the rest is not read. */
export async function onlyFirst<T>(batches: AsyncIterable<readonly T[]>): Promise<T | undefined> {
  for await (const [first] of batches) if (first !== undefined) return first;
  return undefined;
}
