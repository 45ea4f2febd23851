import type { ObjectStore } from './object-store.ts';
import { PrefixedStore } from './prefixed-store.ts';

const REFUSAL = 'this store is only read';

/** A store whose objects can be read, and not changed: every attempt is an error. */
export class ReadOnlyStore extends PrefixedStore {
  constructor(store: ObjectStore) {
    super(store, '');
  }

  override async put(): Promise<never> {
    throw new Error(REFUSAL);
  }

  override async delete(): Promise<never> {
    throw new Error(REFUSAL);
  }

  override async deleteVersion(): Promise<never> {
    throw new Error(REFUSAL);
  }

  override async signedPut(): Promise<undefined> {
    return undefined;
  }

  override async touch(): Promise<undefined> {
    return undefined;
  }

  override async removeLeftovers(): Promise<undefined> {
    return undefined;
  }
}
