/** Yields one value. */
export async function* once<T>(value: T): AsyncGenerator<T, void, undefined> {
  yield value;
}
