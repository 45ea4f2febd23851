import { wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { ObjectCall, ObjectStore } from '#object-store/object-store';
import { MissingObjectError } from '#object-store/store-error';

/** Yields the bytes of an object. @throws {Error} `sink: new reader for "…": doesn't exist`. */
export async function* readObject(
  store: ObjectStore,
  key: string,
  options: ObjectCall,
): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* store.get(key, options);
  } catch (error) {
    throw error instanceof MissingObjectError ? missingObject(key, error) : error;
  }
}

/** Checks that an object exists. @throws {Error} as {@link readObject}. */
export async function requireObject(store: ObjectStore, key: string, options: ObjectCall): Promise<void> {
  if ((await store.head(key, options)) === undefined) throw missingObject(key, new MissingObjectError());
}

function missingObject(key: string, error: MissingObjectError): Error {
  return wrap(error, `sink: new reader for ${quote(key)}`);
}
