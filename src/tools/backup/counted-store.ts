import type { ObjectStore } from '#object-store/object-store';

/** Returns a store that reports the bytes that are stored through it, as they come. */
export function countedStore(store: ObjectStore, onBytes: (bytes: number) => void): ObjectStore {
  return {
    get: (key, options) => store.get(key, options),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    delete: (keys, options) => store.delete(keys, options),
    signedUrl: (key, options) => store.signedUrl(key, options),
    put: (key, pieces, options) => store.put(key, counted(pieces, onBytes), options),
  };
}

async function* counted(
  pieces: AsyncIterable<Uint8Array>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  for await (const piece of pieces) {
    onBytes(piece.length);
    yield piece;
  }
}
