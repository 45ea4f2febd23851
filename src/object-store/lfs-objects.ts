import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { invalidArgument } from '#base/gitaly-error';
import type { ByteRange } from '#base/network/byte-range';
import type { ObjectStore, SignedPut } from './object-store.ts';

/** Name and size of a file. */
export interface LfsPointer {
  /** SHA-256 of the content, in hexadecimal digits. */
  readonly oid: string;
  readonly size: number;
}

/** Ids under which a store has the files of a repository: its own, and those of its sources. */
export type LfsIds = readonly [own: string, ...sources: string[]];

/** Age from which a push makes a file young again; less than that of files that are removed. */
const YOUNG_MS = 3600 * 1000;

/** A file in the store. */
export interface FoundFile extends LfsPointer {
  readonly key: string;
  /** Milliseconds since 1970. */
  readonly modifiedMs: number;
}

/**
 * The files of one repository. It also reads those of the repositories that it was forked from, and
 * writes only its own.
 */
export class LfsObjects {
  readonly #store: ObjectStore;
  readonly #ids: LfsIds;

  constructor(store: ObjectStore, ids: LfsIds) {
    this.#store = store;
    this.#ids = ids;
  }

  /** Finds a file. @returns `undefined` if there is none. */
  async find(oid: string, signal: AbortSignal): Promise<FoundFile | undefined> {
    for (const id of this.#ids) {
      const key = keyOf(id, oid);
      const facts = await this.#store.head(key, { signal });
      if (facts !== undefined) return { oid, size: facts.sizeBytes, key, modifiedMs: facts.modifiedMs };
    }
    return undefined;
  }

  /**
   * Finds a file that a push names. An old one becomes young, where the store can do so, so that it
   * is not removed before a reference leads to it.
   */
  async claim(oid: string, signal: AbortSignal): Promise<FoundFile | undefined> {
    const file = await this.find(oid, signal);
    if (file === undefined || file.modifiedMs > Date.now() - YOUNG_MS) return file;
    return (await this.#store.touch?.(file.key, { signal })) === false ? undefined : file;
  }

  /** Opens the file of an object, if the store is a directory. */
  async open({ key }: FoundFile, signal: AbortSignal): Promise<FileHandle | undefined> {
    return await this.#store.openFile?.(key, { signal });
  }

  /**
   * Returns the address at which a client loads a file from the store; `undefined` if it has none.
   */
  async signedUrl(
    { key }: FoundFile,
    validSeconds: number,
    signal: AbortSignal,
  ): Promise<string | undefined> {
    return await this.#store.signedUrl(key, { validMs: validSeconds * 1000, signal });
  }

  /** Returns the request with which a client stores a file; `undefined` if the store has none. */
  async signedPut(
    { oid, size }: LfsPointer,
    validSeconds: number,
    signal: AbortSignal,
  ): Promise<SignedPut | undefined> {
    const [own] = this.#ids;
    const options = {
      sizeBytes: size,
      sha256: Buffer.from(oid, 'hex'),
      validMs: validSeconds * 1000,
      signal,
    };
    return await this.#store.signedPut?.(keyOf(own, oid), options);
  }

  /** Yields a part of a file. @param range default: all of it. */
  content({ key }: FoundFile, range: ByteRange | undefined, signal: AbortSignal): AsyncGenerator<Buffer> {
    return this.#store.get(key, { signal, ...(range && { range }) });
  }

  /**
   * Yields a part of a file in memory that is used again: for readers that are done with a piece.
   */
  read({ key }: FoundFile, range: ByteRange, signal: AbortSignal): AsyncIterable<Buffer> {
    return this.#store.get(key, { range, mayReuse: true, signal });
  }

  /**
   * Stores a file. It appears when it is complete and right.
   *
   * @throws {GitalyError} INVALID_ARGUMENT if the bytes are not those of the name.
   */
  async write(
    oid: string,
    bytes: AsyncIterable<Uint8Array>,
    { sizeBytes, signal }: WriteOptions,
  ): Promise<void> {
    const [own] = this.#ids;
    await this.#store.put(keyOf(own, oid), checkedLfsFile(oid, bytes), {
      signal,
      ...(sizeBytes !== undefined && { sizeBytes }),
    });
  }
}

interface WriteOptions {
  readonly sizeBytes: number | undefined;
  readonly signal: AbortSignal;
}

/** `ID/objects/AB/CD/SHA256` */
const KEY = /^(?<id>[\w-]{1,64})\/objects\/[0-9a-f]{2}\/[0-9a-f]{2}\/(?<oid>[0-9a-f]{64})$/;

/** Returns whose file a key is, and its name; `undefined` for the key of something else. */
export function parseLfsKey(key: string): { readonly id: string; readonly oid: string } | undefined {
  const { id, oid } = KEY.exec(key)?.groups ?? {};
  return id === undefined || oid === undefined ? undefined : { id, oid };
}

function keyOf(id: string, oid: string): string {
  return `${id}/objects/${oid.slice(0, 2)}/${oid.slice(2, 4)}/${oid}`;
}

/** Passes the bytes of a file on, and fails at their end if they are not those of its name. */
export async function* checkedLfsFile(
  oid: string,
  bytes: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  for await (const chunk of bytes) {
    hash.update(chunk);
    yield chunk;
  }
  if (hash.digest('hex') !== oid)
    throw invalidArgument(`the bytes are not those of ${oid}: their SHA-256 differs`);
}
