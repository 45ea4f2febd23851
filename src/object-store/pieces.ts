import type { ObjectStore, PutOptions } from './object-store.ts';

/**
 * Yields the pieces of a source until the signal is aborted, and checks the number of bytes.
 *
 * @throws the reason of the signal; {Error} if the source has another number of bytes.
 */
export async function* checkedPieces(
  pieces: AsyncIterable<Uint8Array>,
  { signal, sizeBytes }: PutOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  signal.throwIfAborted();
  let bytes = 0;
  for await (const piece of pieces) {
    signal.throwIfAborted();
    bytes += piece.length;
    if (piece.length > 0) yield piece;
  }
  if (sizeBytes !== undefined && bytes !== sizeBytes)
    throw new Error(`an object of ${sizeBytes} bytes was expected, but it has ${bytes}`);
}

/**
 * Stores an object unless it is empty.
 *
 * @returns the size in bytes; 0 if nothing was stored.
 */
export async function putUnlessEmpty(
  store: ObjectStore,
  key: string,
  pieces: AsyncIterable<Uint8Array>,
  options: PutOptions,
): Promise<number> {
  const iterator = pieces[Symbol.asyncIterator]();
  let first: Uint8Array | undefined;
  while (first === undefined || first.length === 0) {
    const next = await iterator.next();
    if (next.done === true) return 0;
    first = next.value;
  }
  let size = first.length;
  const start = first;
  async function* counted(): AsyncGenerator<Uint8Array> {
    try {
      yield start;
      for (let next = await iterator.next(); next.done !== true; next = await iterator.next()) {
        size += next.value.length;
        yield next.value;
      }
    } finally {
      await iterator.return?.();
    }
  }
  await store.put(key, counted(), options);
  return size;
}
