import { GitalyError } from '#base/gitaly-error';
import { type Bucket, type ListedObject, MissingObjectError } from './bucket.ts';

/** Limit of all objects together. The bucket is for tests and trials. */
const MAX_BYTES = 1024 ** 3;

interface StoredObject {
  readonly content: Buffer;
  readonly modifiedMs: number;
}

/** A bucket that lives as long as the server (`mem://`). */
export class MemoryBucket implements Bucket {
  readonly #objects = new Map<string, StoredObject>();
  #bytes = 0;

  async write(key: string, pieces: AsyncIterable<Uint8Array>): Promise<void> {
    const chunks: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of pieces) {
      bytes += piece.length;
      if (this.#bytes + bytes > MAX_BYTES)
        throw new GitalyError('RESOURCE_EXHAUSTED', 'the bucket in memory is full');
      chunks.push(piece);
    }
    this.#bytes += bytes - (this.#objects.get(key)?.content.length ?? 0);
    this.#objects.set(key, { content: Buffer.concat(chunks), modifiedMs: Date.now() });
  }

  async *read(key: string): AsyncGenerator<Buffer, void, undefined> {
    const object = this.#objects.get(key);
    if (object === undefined) throw new MissingObjectError();
    yield object.content;
  }

  async exists(key: string): Promise<boolean> {
    return this.#objects.has(key);
  }

  async *list(prefix: string): AsyncGenerator<ListedObject, void, undefined> {
    for (const [key, { modifiedMs }] of this.#objects) if (key.startsWith(prefix)) yield { key, modifiedMs };
  }
}
