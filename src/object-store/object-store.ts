import type { FileHandle } from 'node:fs/promises';

/** An object as a store lists it. */
export interface ObjectFacts {
  readonly key: string;
  readonly sizeBytes: number;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
  /** Changes whenever the contents are replaced. Its form depends on the store. */
  readonly version: string;
}

export interface ObjectCall {
  readonly signal: AbortSignal;
}

export interface GetOptions extends ObjectCall {
  /** Bytes to read: from `start`, at most `length`. Default: the whole object. */
  readonly range?: { readonly start: number; readonly length?: number };
  /**
   * Allows the store to overwrite a piece once the second one after it is requested, for a reader
   * that has used it by then.
   */
  readonly mayReuse?: boolean;
  /** Reads the object only if it has another version. @throws {UnchangedError} */
  readonly unlessVersion?: string;
  /** Receives the facts of the object before its first piece. */
  readonly onFacts?: ((facts: ReadFacts) => void) | undefined;
}

/** Facts of an object that is being read. */
export type ReadFacts = Pick<ObjectFacts, 'version' | 'modifiedMs'>;

export interface ListObjectsOptions extends ObjectCall {
  /**
   * Receives the names of objects that no call can name, such as those with line feeds: the list
   * leaves them out. Only other programs can store them.
   */
  readonly onUnusable?: ((name: string) => void) | undefined;
}

/** State of an object under which it may be replaced: `absent`, or still the given version. */
export type PutCondition = 'absent' | { readonly version: string };

export interface PutOptions extends ObjectCall {
  /** Number of bytes, if it is known. A source with another number of bytes is an error. */
  readonly sizeBytes?: number;
  /** @see PutCondition */
  readonly onlyIf?: PutCondition;
}

export interface SignOptions extends ObjectCall {
  /** Time for which the URL is valid. */
  readonly validMs: number;
}

export interface SignPutOptions extends SignOptions {
  readonly sizeBytes: number;
  /** SHA-256 of the content. */
  readonly sha256: Buffer;
}

/** A PUT request that stores an object. */
export interface SignedPut {
  readonly url: string;
  /** Headers that it must have, besides the length. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface LeftoversOptions extends ObjectCall {
  /** Only of objects in this folder: empty, or ends with a slash. Default: all. */
  readonly folder?: string;
  /** Only what was last changed before; milliseconds since 1970. */
  readonly beforeMs: number;
  /** Counts, and removes nothing. */
  readonly isDryRun: boolean;
}

/** Incomplete objects that processes left when they were killed. */
export interface Leftovers {
  readonly objects: number;
  readonly bytes: number;
}

/**
 * Objects under keys: a directory, memory, or a bucket of a service. Keys are paths with `/`, made
 * by `objectKey`; every method refuses other keys with INVALID_ARGUMENT. Every method ends when its
 * signal is aborted, with the reason of the signal.
 */
export interface ObjectStore {
  /** Yields the bytes of an object. @throws {MissingObjectError} */
  get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined>;
  /**
   * Opens the file of an object; `undefined` if it does not exist. Only stores in directories have
   * this method.
   */
  openFile?(key: string, options: ObjectCall): Promise<FileHandle | undefined>;
  /**
   * Stores an object, in place of an older one. It appears when it is complete. If `pieces` fails
   * or the signal is aborted, nothing changes and nothing is left behind.
   *
   * @returns the version of the stored object.
   * @throws {PreconditionError} if `onlyIf` does not hold.
   */
  put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string>;
  /** Returns the facts of an object; `undefined` if it does not exist. */
  head(key: string, options: ObjectCall): Promise<ObjectFacts | undefined>;
  /**
   * Yields the objects whose keys begin with `prefix`, in the order of their keys, in pages of at
   * most {@link PAGE_OBJECTS}. The prefix may end anywhere in a key; the empty one selects all.
   */
  list(prefix: string, options: ListObjectsOptions): AsyncGenerator<readonly ObjectFacts[], void, undefined>;
  /**
   * Yields the folders directly below a prefix, which is empty or ends with a slash, in order: keys
   * up to the next slash, with it. Objects between them are left out.
   */
  listFolders(prefix: string, options: ObjectCall): AsyncGenerator<readonly string[], void, undefined>;
  /** Deletes objects. Missing objects are not an error. */
  delete(keys: readonly string[], options: ObjectCall): Promise<void>;
  /**
   * Deletes an object if it still has a version. Services differ about one that does not exist.
   *
   * @throws {PreconditionError} if it has another version.
   */
  deleteVersion(key: string, version: string, options: ObjectCall): Promise<void>;
  /**
   * Returns a URL at which anyone can read an object for a while, whether it exists or not;
   * `undefined` if the store has no such URLs.
   */
  signedUrl(key: string, options: SignOptions): Promise<string | undefined>;
  /**
   * Returns a request with which anyone can store an object for a while, only with the content of
   * the hash; `undefined` if the store has no such requests. A service that ignores the header with
   * the hash stores any content of the size.
   */
  signedPut?(key: string, options: SignPutOptions): Promise<SignedPut | undefined>;
  /**
   * Sets the time of an object to now. Returns `false` if it does not exist, and `undefined` if the
   * store cannot do so. Only stores in directories can.
   */
  touch?(key: string, options: ObjectCall): Promise<boolean | undefined>;
  /**
   * Removes incomplete objects. Returns `undefined` if the store cannot do so. Only stores in
   * directories can: a bucket has a rule for incomplete uploads.
   */
  removeLeftovers?(options: LeftoversOptions): Promise<Leftovers | undefined>;
}

/** Objects in a page of a list, and keys in one request to delete: the limit of S3. */
export const PAGE_OBJECTS = 1000;
