import { BoundedMap } from '#base/memory/bounded-map';
import { keptBytes } from '#base/memory/kept-bytes';
import type { Bucket, CreateResult, ListedObject, StoredObject } from '#generations/environment';

const MAX_BYTES = 4 * 1024 * 1024;
/** Memory of a generation besides its contents. */
const ENTRY_BYTES = 600;
const MAX_ENTRY_BYTES = 64 * 1024;
const GENERATION = '/g/';

/**
 * A bucket that remembers the last generations that this server has created, which never change: a
 * checkpoint would otherwise read each inline pack back.
 */
export class RememberedGenerations implements Bucket {
  readonly #bucket: Bucket;
  readonly #remembered = new BoundedMap<string, StoredObject>({
    maxEntries: MAX_BYTES / ENTRY_BYTES,
    maxWeight: MAX_BYTES,
    weigh: ({ content }) => content.length + ENTRY_BYTES,
    order: 'insertion',
  });

  constructor(bucket: Bucket) {
    this.#bucket = bucket;
  }

  async get(key: string): Promise<StoredObject | undefined> {
    return this.#remembered.get(key) ?? (await this.#bucket.get(key));
  }

  async create(key: string, content: Buffer): Promise<CreateResult> {
    const result = await this.#bucket.create(key, content);
    if (result === 'created' && key.includes(GENERATION) && content.length <= MAX_ENTRY_BYTES)
      this.#remembered.set(key, { content: keptBytes([content]), version: '', modifiedMs: 0 });
    return result;
  }

  async replace(key: string, content: Buffer, version: string): Promise<string | undefined> {
    return await this.#bucket.replace(key, content, version);
  }

  async delete(keys: readonly string[]): Promise<void> {
    for (const key of keys) this.#remembered.delete(key);
    await this.#bucket.delete(keys);
  }

  list(prefix: string): AsyncIterable<readonly ListedObject[]> {
    return this.#bucket.list(prefix);
  }
}
