import type { ObjectStore } from '#object-store/object-store';

/** Returns a store that reports the bytes that are stored and read through it, as they come. */
export function countedStore(store: ObjectStore, onBytes: (bytes: number) => void): ObjectStore {
  return {
    get: (key, options) => counted(store.get(key, options), onBytes),
    head: (key, options) => store.head(key, options),
    list: (prefix, options) => store.list(prefix, options),
    listFolders: (prefix, options) => store.listFolders(prefix, options),
    deleteVersion: (key, version, options) => store.deleteVersion(key, version, options),
    delete: (keys, options) => store.delete(keys, options),
    signedUrl: (key, options) => store.signedUrl(key, options),
    put: (key, pieces, options) => store.put(key, counted(pieces, onBytes), options),
  };
}

async function* counted<T extends Uint8Array>(
  pieces: AsyncIterable<T>,
  onBytes: (bytes: number) => void,
): AsyncGenerator<T, void, undefined> {
  for await (const piece of pieces) {
    onBytes(piece.length);
    yield piece;
  }
}
