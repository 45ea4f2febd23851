import { limitedSignal } from '#base/async/limited-signal';
import type { ObjectStore } from '#object-store/object-store';
import { MissingObjectError, PreconditionError } from '#object-store/store-error';
import type { Bucket, CreateResult, ListedObject, StoredObject } from './environment.ts';

/** Time of a request, with the repetitions of the service's library. */
const REQUEST_MS = 10_000;
/** Further time for contents, over a slow connection: references and joined packs may be large. */
const MS_PER_BYTE = 4000 / 2 ** 20;

export interface StoreBucketOptions {
  /** Ends all requests. */
  readonly signal: AbortSignal;
}

/** The bucket of the protocol in an object store. */
export class StoreBucket implements Bucket {
  readonly #store: ObjectStore;
  readonly #options: StoreBucketOptions;

  constructor(store: ObjectStore, options: StoreBucketOptions) {
    this.#store = store;
    this.#options = options;
  }

  async get(key: string): Promise<StoredObject | undefined> {
    let facts = { version: '', modifiedMs: 0 };
    const onFacts = (found: typeof facts): void => {
      facts = found;
    };
    try {
      using limited = limitedSignal(REQUEST_MS, this.#options.signal);
      const pieces: Buffer[] = [];
      for await (const piece of this.#store.get(key, { signal: limited.signal, onFacts })) {
        pieces.push(piece);
        limited.extend(piece.length * MS_PER_BYTE);
      }
      return { content: Buffer.concat(pieces), ...facts };
    } catch (error) {
      if (error instanceof MissingObjectError) return undefined;
      throw error; // also a refusal: it is not a missing object
    }
  }

  async create(key: string, content: Buffer): Promise<CreateResult> {
    try {
      await this.#put(key, content, 'absent');
      return 'created';
    } catch (error) {
      if (!(error instanceof PreconditionError)) throw error;
      return error.reason === 'conflict' ? 'conflict' : 'exists';
    }
  }

  async replace(key: string, content: Buffer, version: string): Promise<string | undefined> {
    try {
      return await this.#put(key, content, { version });
    } catch (error) {
      if (error instanceof PreconditionError) return undefined;
      throw error;
    }
  }

  async delete(keys: readonly string[]): Promise<void> {
    await this.#store.delete(keys, { signal: this.#options.signal });
  }

  list(prefix: string): AsyncIterable<readonly ListedObject[]> {
    return this.#store.list(prefix, { signal: this.#options.signal });
  }

  async #put(key: string, content: Buffer, onlyIf: 'absent' | { readonly version: string }): Promise<string> {
    using limited = limitedSignal(REQUEST_MS + content.length * MS_PER_BYTE, this.#options.signal);
    const options = { signal: limited.signal, onlyIf, sizeBytes: content.length };
    return await this.#store.put(key, once(content), options);
  }
}

async function* once(content: Buffer): AsyncGenerator<Buffer> {
  yield content;
}
