import type { ObjectStore } from '#object-store/object-store';

/** Passes operations on until the n-th, which fails; of a put, after its first bytes. */
export class FailingStore implements ObjectStore {
  readonly #store: ObjectStore;
  #left: number;
  /** True after a failure that the caller has learned of: it may have read enough before. */
  isNoticed = false;

  constructor(store: ObjectStore, failing: number) {
    this.#store = store;
    this.#left = failing;
  }

  get hasFailed(): boolean {
    return this.#left <= 0;
  }

  async *get(...args: Parameters<ObjectStore['get']>): AsyncGenerator<Buffer, void, undefined> {
    if (!this.#isNext()) return yield* this.#store.get(...args);
    try {
      for await (const piece of this.#store.get(...args)) {
        yield piece.subarray(0, piece.length / 2);
        break;
      }
    } catch {
      // it is missing, which the caller does not learn
    }
    throw this.#cutOff();
  }

  async put(key: string, pieces: AsyncIterable<Uint8Array>, options: Parameters<ObjectStore['put']>[2]) {
    const isCut = this.#isNext();
    const cutOff = () => this.#cutOff();
    const passed = async function* () {
      for await (const piece of pieces) {
        yield piece;
        if (isCut) throw cutOff();
      }
      if (isCut) throw cutOff();
    };
    await this.#store.put(key, passed(), options);
  }

  async head(...args: Parameters<ObjectStore['head']>) {
    this.#fail();
    return await this.#store.head(...args);
  }

  async *list(...args: Parameters<ObjectStore['list']>) {
    this.#fail();
    yield* this.#store.list(...args);
  }

  async delete(...args: Parameters<ObjectStore['delete']>) {
    this.#fail();
    await this.#store.delete(...args);
  }

  async signedUrl(...args: Parameters<ObjectStore['signedUrl']>) {
    return await this.#store.signedUrl(...args);
  }

  #isNext(): boolean {
    return --this.#left === 0;
  }

  #fail(): void {
    if (this.#isNext()) throw this.#cutOff();
  }

  #cutOff(): Error {
    this.isNoticed = true;
    return new Error('the store is cut off');
  }
}
