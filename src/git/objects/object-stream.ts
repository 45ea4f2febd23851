import { Readable } from 'node:stream';

/** What an object's stream needs of the process behind it. */
export interface ObjectSource {
  /** The next bytes of the process's output, `null` when none are there yet. */
  read(): Buffer | null;
  /** Puts back what belongs to whatever comes after the object. */
  unread(bytes: Buffer): void;
  /** The last byte has been read. */
  finished(): void;
  /** The reader left before the last byte: the process is of no use any more. */
  abandoned(): void;
}

/**
 * The contents of one big object, straight from the process. Nothing is read ahead of the reader but one chunk, so a slow reader
 * stops git. Destroying it early ends the process.
 */
export class ObjectStream extends Readable {
  readonly #source: ObjectSource;
  #left: number;
  #wanted = false;

  constructor(source: ObjectSource, size: number) {
    super({ highWaterMark: 65_536 });
    this.#source = source;
    this.#left = size;
  }

  /** Called by the process when there is more to read. */
  pump(): void {
    while (this.#wanted && this.#left > 0) {
      const chunk = this.#source.read();
      if (chunk === null) return;
      const piece = chunk.subarray(0, this.#left);
      if (piece.length < chunk.length) this.#source.unread(chunk.subarray(piece.length));
      this.#left -= piece.length;
      this.#wanted = this.push(piece);
      if (this.#left === 0) {
        this.push(null);
        this.#source.finished();
      }
    }
  }

  override _read(): void {
    this.#wanted = true;
    this.pump();
  }

  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    if (this.#left > 0) this.#source.abandoned();
    callback(error);
  }
}
