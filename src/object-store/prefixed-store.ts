import type { FileHandle } from 'node:fs/promises';
import type {
  GetOptions,
  Leftovers,
  LeftoversOptions,
  ListObjectsOptions,
  ObjectCall,
  ObjectFacts,
  ObjectStore,
  PutOptions,
  SignedPut,
  SignOptions,
  SignPutOptions,
} from './object-store.ts';

/**
 * A part of a store: the objects whose keys start with a prefix (`?prefix=`). Keys are without the
 * prefix.
 */
export class PrefixedStore implements ObjectStore {
  readonly #store: ObjectStore;
  readonly #prefix: string;

  constructor(store: ObjectStore, prefix: string) {
    this.#store = store;
    this.#prefix = prefix;
  }

  get(key: string, options: GetOptions): AsyncGenerator<Buffer, void, undefined> {
    return this.#store.get(this.#prefix + key, options);
  }

  async openFile(key: string, options: ObjectCall): Promise<FileHandle | undefined> {
    return await this.#store.openFile?.(this.#prefix + key, options);
  }

  put(key: string, pieces: AsyncIterable<Uint8Array>, options: PutOptions): Promise<string> {
    return this.#store.put(this.#prefix + key, pieces, options);
  }

  async head(key: string, options: ObjectCall): Promise<ObjectFacts | undefined> {
    const facts = await this.#store.head(this.#prefix + key, options);
    return facts && this.#inside(facts);
  }

  async *list(
    prefix: string,
    options: ListObjectsOptions,
  ): AsyncGenerator<readonly ObjectFacts[], void, undefined> {
    const onUnusable = (name: string) => options.onUnusable?.(name.slice(this.#prefix.length));
    for await (const page of this.#store.list(this.#prefix + prefix, { ...options, onUnusable }))
      yield page.map((facts) => this.#inside(facts));
  }

  async *listFolders(
    prefix: string,
    options: ObjectCall,
  ): AsyncGenerator<readonly string[], void, undefined> {
    for await (const page of this.#store.listFolders(this.#prefix + prefix, options))
      yield page.map((folder) => folder.slice(this.#prefix.length));
  }

  deleteVersion(key: string, version: string, options: ObjectCall): Promise<void> {
    return this.#store.deleteVersion(this.#prefix + key, version, options);
  }

  delete(keys: readonly string[], options: ObjectCall): Promise<void> {
    return this.#store.delete(
      keys.map((key) => this.#prefix + key),
      options,
    );
  }

  signedUrl(key: string, options: SignOptions): Promise<string | undefined> {
    return this.#store.signedUrl(this.#prefix + key, options);
  }

  async signedPut(key: string, options: SignPutOptions): Promise<SignedPut | undefined> {
    return await this.#store.signedPut?.(this.#prefix + key, options);
  }

  async touch(key: string, options: ObjectCall): Promise<boolean | undefined> {
    return await this.#store.touch?.(this.#prefix + key, options);
  }

  async removeLeftovers({ folder = '', ...options }: LeftoversOptions): Promise<Leftovers | undefined> {
    const all = this.#prefix + folder;
    return await this.#store.removeLeftovers?.({
      ...options,
      folder: all.slice(0, all.lastIndexOf('/') + 1),
    });
  }

  #inside(facts: ObjectFacts): ObjectFacts {
    return { ...facts, key: facts.key.slice(this.#prefix.length) };
  }
}
