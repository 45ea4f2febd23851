import type { ObjectStore } from '#object-store/object-store';

/**
 * A store that passes operations on until the n-th, which fails. A put fails after its first bytes.
 */
export class FailingStore implements ObjectStore {
  readonly #store: ObjectStore;
  #left: number;
  /**
   * True after a failure that the caller has noticed: it may have read enough before the failure.
   */
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
      // the object is missing, but the caller gets the failure below instead
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
    return await this.#store.put(key, passed(), options);
  }

  async head(...args: Parameters<ObjectStore['head']>) {
    this.#fail();
    return await this.#store.head(...args);
  }

  async *list(...args: Parameters<ObjectStore['list']>) {
    this.#fail();
    yield* this.#store.list(...args);
  }

  async *listFolders(...args: Parameters<ObjectStore['listFolders']>) {
    this.#fail();
    yield* this.#store.listFolders(...args);
  }

  async deleteVersion(...args: Parameters<ObjectStore['deleteVersion']>) {
    this.#fail();
    await this.#store.deleteVersion(...args);
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
