/** A piece of a stream in memory. */
export interface Chunk {
  readonly bytes: Buffer;
  /** Readers and writers that use the bytes at the moment. */
  uses: number;
  isDropped: boolean;
  /** Takes the memory back; `undefined` if another reader may still use the bytes. */
  recycle: ((bytes: Buffer) => void) | undefined;
}

/**
 * The part of a stream that is in memory: the chunks from `first` up to `end`, in order. Chunks
 * are counted from the beginning of the stream.
 */
export class ChunkWindow {
  readonly #chunks: Chunk[] = [];
  #first = 0;
  #bytes = 0;

  get first(): number {
    return this.#first;
  }

  get end(): number {
    return this.#first + this.#chunks.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  push(bytes: Buffer, recycle: ((bytes: Buffer) => void) | undefined): void {
    this.#chunks.push({ bytes, uses: 0, isDropped: false, recycle });
    this.#bytes += bytes.length;
  }

  /** Returns a chunk that is in memory, in use until {@link release}. */
  use(index: number): Chunk | undefined {
    const chunk = this.#chunks[index - this.#first];
    if (chunk !== undefined) chunk.uses++;
    return chunk;
  }

  release(chunk: Chunk): void {
    chunk.uses--;
    recycleUnused(chunk);
  }

  /** Drops the first chunk. */
  drop(): void {
    const chunk = this.#chunks.shift();
    if (chunk === undefined) return;
    this.#first++;
    this.#bytes -= chunk.bytes.length;
    chunk.isDropped = true;
    recycleUnused(chunk);
  }
}

function recycleUnused(chunk: Chunk): void {
  const { bytes, isDropped, recycle, uses } = chunk;
  if (!isDropped || uses > 0 || recycle === undefined) return;
  chunk.recycle = undefined;
  recycle(bytes);
}
