import { performance } from 'node:perf_hooks';
import type {
  GetOptions,
  ListObjectsOptions,
  ObjectCall,
  ObjectFacts,
  ObjectStore,
  PutOptions,
  SignedPut,
  SignOptions,
  SignPutOptions,
} from './object-store.ts';
import { MissingObjectError, PreconditionError, UnchangedError } from './store-error.ts';

/**
 * Result of an operation. `missing` and `refused` (by a condition) are not faults of the service.
 */
export type StoreOutcome = 'ok' | 'missing' | 'refused' | 'aborted' | 'error';

/** Operations of a store, by the names of its methods. */
export type StoreOperation = 'get' | 'put' | 'head' | 'list' | 'delete' | 'sign';

/** Receives the operations of the stores of a server. `kind` is the scheme of the URL. */
export interface StoreObserver {
  /**
   * Called at the end of an operation. The time in which the reader of a get or a list works is not
   * included.
   */
  ended(kind: string, operation: StoreOperation, outcome: StoreOutcome, seconds: number): void;
  bytes(kind: string, direction: 'read' | 'written', bytes: number): void;
  /** A request, or the rest of a read, was sent again. */
  retried(kind: string, operation: StoreOperation, times: number): void;
}

/** A store that reports its operations. */
export class ObservedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #kind: string;
  readonly #observer: StoreObserver;

  constructor(store: ObjectStore, kind: string, observer: StoreObserver) {
    this.#store = store;
    this.#kind = kind;
    this.#observer = observer;
  }

  async *get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    for await (const piece of this.#timed('get', this.#store.get(key, options), options)) {
      this.#observer.bytes(this.#kind, 'read', piece.length);
      yield piece;
    }
  }

  async put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
    return await this.#measured('put', options, () => this.#store.put(key, this.#counted(pieces), options));
  }

  async head(key: string, options: ObjectCall): Promise<ObjectFacts | undefined> {
    return await this.#measured('head', options, () => this.#store.head(key, options));
  }

  list(prefix: string, options: ListObjectsOptions): AsyncGenerator<readonly ObjectFacts[], void, undefined> {
    return this.#timed('list', this.#store.list(prefix, options), options);
  }

  listFolders(prefix: string, options: ObjectCall): AsyncGenerator<readonly string[], void, undefined> {
    return this.#timed('list', this.#store.listFolders(prefix, options), options);
  }

  async deleteVersion(key: string, version: string, options: ObjectCall): Promise<void> {
    await this.#measured('delete', options, () => this.#store.deleteVersion(key, version, options));
  }

  async delete(keys: readonly string[], options: ObjectCall): Promise<void> {
    await this.#measured('delete', options, () => this.#store.delete(keys, options));
  }

  async signedUrl(key: string, options: SignOptions): Promise<string | undefined> {
    return await this.#measured('sign', options, () => this.#store.signedUrl(key, options));
  }

  async signedPut(key: string, options: SignPutOptions): Promise<SignedPut | undefined> {
    return await this.#measured('sign', options, async () => this.#store.signedPut?.(key, options));
  }

  async touch(key: string, options: ObjectCall): Promise<boolean | undefined> {
    return await this.#store.touch?.(key, options);
  }

  async #measured<T>(operation: StoreOperation, { signal }: ObjectCall, work: () => Promise<T>): Promise<T> {
    const start = performance.now();
    let outcome: StoreOutcome = 'ok';
    try {
      return await work();
    } catch (error) {
      outcome = outcomeOf(error, signal);
      throw error;
    } finally {
      this.#observer.ended(this.#kind, operation, outcome, (performance.now() - start) / 1000);
    }
  }

  /** Yields the values of a generator, and measures the time until each. */
  async *#timed<T>(
    operation: StoreOperation,
    values: AsyncGenerator<T, void, undefined>,
    { signal }: ObjectCall,
  ): AsyncGenerator<T, void, undefined> {
    let waitedMs = 0;
    let outcome: StoreOutcome = 'ok';
    try {
      for (;;) {
        const start = performance.now();
        const next = await values.next().finally(() => {
          waitedMs += performance.now() - start;
        });
        if (next.done === true) return;
        yield next.value;
      }
    } catch (error) {
      outcome = outcomeOf(error, signal);
      throw error;
    } finally {
      await values.return();
      this.#observer.ended(this.#kind, operation, outcome, waitedMs / 1000);
    }
  }

  async *#counted(pieces: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    for await (const piece of pieces) {
      this.#observer.bytes(this.#kind, 'written', piece.length);
      yield piece;
    }
  }
}

function outcomeOf(error: unknown, signal: AbortSignal): StoreOutcome {
  if (signal.aborted) return 'aborted';
  if (error instanceof MissingObjectError) return 'missing';
  if (error instanceof UnchangedError) return 'ok';
  return error instanceof PreconditionError ? 'refused' : 'error';
}
