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
  let size = 0;
  async function* counted(first: Uint8Array): AsyncGenerator<Uint8Array> {
    for (let piece: Uint8Array | undefined = first; piece !== undefined; piece = await nextOf(iterator)) {
      size += piece.length;
      yield piece;
    }
  }
  try {
    let first: Uint8Array | undefined;
    do first = await nextOf(iterator);
    while (first?.length === 0);
    if (first !== undefined) await store.put(key, counted(first), options);
    return size;
  } finally {
    // Also if the store has read nothing.
    await iterator.return?.();
  }
}

async function nextOf<T>(iterator: AsyncIterator<T>): Promise<T | undefined> {
  const { done, value } = await iterator.next();
  return done === true ? undefined : value;
}
