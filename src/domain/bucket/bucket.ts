import { wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';

/** An object was requested that the bucket does not have. */
export class MissingObjectError extends Error {
  override readonly name = 'MissingObjectError';

  constructor() {
    super("doesn't exist");
  }
}

/** An object as a bucket lists it. */
export interface ListedObject {
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/**
 * A place for backups and bundles: a directory, memory, later object stores. Keys are paths with
 * `/`; {@link objectKey} makes them.
 */
export interface Bucket {
  /**
   * Stores an object, in place of an older one. It appears when it is complete; when `pieces`
   * fails, nothing changes.
   */
  write(key: string, pieces: AsyncIterable<Uint8Array>): Promise<void>;
  /** Yields the bytes of an object. @throws {MissingObjectError} */
  read(key: string): AsyncGenerator<Buffer, void, undefined>;
  /** Reports whether there is such an object. */
  exists(key: string): Promise<boolean>;
  /** Yields the objects whose keys begin with `prefix`, which ends with `/`, in no order. */
  list(prefix: string): AsyncGenerator<ListedObject, void, undefined>;
  /**
   * Returns an address at which anybody can get an object for a while; `undefined` if the bucket
   * has none.
   */
  publicUrl?(key: string, validMs: number): string;
}

/** Yields the bytes of an object. @throws {Error} `sink: new reader for "…": doesn't exist`. */
export async function* readObject(bucket: Bucket, key: string): AsyncGenerator<Buffer, void, undefined> {
  try {
    yield* bucket.read(key);
  } catch (error) {
    throw error instanceof MissingObjectError ? missingObject(key, error) : error;
  }
}

/** Checks that an object exists. @throws {Error} as {@link readObject}. */
export async function requireObject(bucket: Bucket, key: string): Promise<void> {
  if (!(await bucket.exists(key))) throw missingObject(key, new MissingObjectError());
}

function missingObject(key: string, error: MissingObjectError): Error {
  return wrap(error, `sink: new reader for ${quote(key)}`);
}

/**
 * Stores an object unless there are no bytes.
 *
 * @returns the size in bytes; 0 if nothing was stored.
 */
export async function writeUnlessEmpty(
  bucket: Bucket,
  key: string,
  pieces: AsyncIterable<Uint8Array>,
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
  await bucket.write(key, counted());
  return size;
}
