import { GitalyError } from '#base/gitaly-error';
import { foldersOf } from '../folders.ts';
import { requireKey, requirePrefix } from '../object-key.ts';
import {
  type GetOptions,
  type ObjectCall,
  type ObjectFacts,
  type ObjectStore,
  PAGE_OBJECTS,
  type PutCondition,
  type PutOptions,
} from '../object-store.ts';
import { checkedPieces } from '../pieces.ts';
import { MissingObjectError, PreconditionError, UnchangedError } from '../store-error.ts';

/** Limit of all objects together. The store is for tests and trials. */
const MAX_BYTES = 1024 ** 3;

interface MemoryObject extends ObjectFacts {
  readonly content: Buffer;
}

/** A store that lives as long as the server (`mem://`). */
export class MemoryObjectStore implements ObjectStore {
  readonly #objects = new Map<string, MemoryObject>();
  #bytes = 0;
  #versions = 0;

  async *get(
    key: string,
    { range, signal, unlessVersion, onFacts }: GetOptions,
  ): AsyncGenerator<Buffer, void, undefined> {
    requireKey(key);
    signal.throwIfAborted();
    const object = this.#objects.get(key);
    if (object === undefined) throw new MissingObjectError();
    if (object.version === unlessVersion) throw new UnchangedError(key);
    onFacts?.(object);
    const { start = 0, length = object.content.length } = range ?? {};
    const content = object.content.subarray(start, start + length);
    if (content.length > 0) yield content;
  }

  async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
    requireKey(key);
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of checkedPieces(pieces, options)) {
      bytes += piece.length;
      if (this.#bytes + bytes > MAX_BYTES)
        throw new GitalyError('RESOURCE_EXHAUSTED', 'the bucket in memory is full');
      chunks.push(piece);
    }
    this.#requireState(key, options.onlyIf);
    this.#remove(key);
    this.#bytes += bytes;
    const facts = { key, sizeBytes: bytes, modifiedMs: Date.now(), version: String(++this.#versions) };
    this.#objects.set(key, { ...facts, content: Buffer.concat(chunks) });
    return facts.version;
  }

  async head(key: string, { signal }: ObjectCall): Promise<ObjectFacts | undefined> {
    requireKey(key);
    signal.throwIfAborted();
    const object = this.#objects.get(key);
    return object && factsOf(object);
  }

  async *list(
    prefix: string,
    { signal }: ObjectCall,
  ): AsyncGenerator<readonly ObjectFacts[], void, undefined> {
    requirePrefix(prefix);
    const keys = [...this.#objects.keys()].filter((key) => key.startsWith(prefix)).sort();
    for (let first = 0; first < keys.length; first += PAGE_OBJECTS) {
      signal.throwIfAborted();
      const objects = keys.slice(first, first + PAGE_OBJECTS).map((key) => this.#objects.get(key));
      yield objects.filter((object) => object !== undefined).map(factsOf);
    }
  }

  async delete(keys: readonly string[], { signal }: ObjectCall): Promise<void> {
    keys.forEach(requireKey);
    signal.throwIfAborted();
    for (const key of keys) this.#remove(key);
  }

  async *listFolders(
    prefix: string,
    { signal }: ObjectCall,
  ): AsyncGenerator<readonly string[], void, undefined> {
    requirePrefix(prefix);
    signal.throwIfAborted();
    yield* foldersOf(prefix, [...this.#objects.keys()].sort());
  }

  async deleteVersion(key: string, version: string, { signal }: ObjectCall): Promise<void> {
    requireKey(key);
    signal.throwIfAborted();
    this.#requireState(key, { version });
    this.#remove(key);
  }

  async signedUrl(key: string): Promise<string | undefined> {
    requireKey(key);
    return undefined;
  }

  #remove(key: string): void {
    this.#bytes -= this.#objects.get(key)?.sizeBytes ?? 0;
    this.#objects.delete(key);
  }

  #requireState(key: string, onlyIf: PutCondition | undefined): void {
    if (onlyIf === undefined) return;
    const expected = onlyIf === 'absent' ? undefined : onlyIf.version;
    const version = this.#objects.get(key)?.version;
    if (version === expected) return;
    throw new PreconditionError(key, { reason: version === undefined ? 'missing' : 'changed' });
  }
}

function factsOf({ key, sizeBytes, modifiedMs, version }: MemoryObject): ObjectFacts {
  return { key, sizeBytes, modifiedMs, version };
}
