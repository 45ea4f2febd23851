import { Readable } from 'node:stream';
import { noteBulkBytes } from '#base/memory/bulk-memory';

/** The part of a process that an object's stream uses. */
export interface ObjectSource {
  /** Returns the next bytes of the process's output, `null` if none are available yet. */
  read(): Buffer | null;
  /** Puts back bytes that follow the object. */
  unread(bytes: Buffer): void;
  /** Called when the last byte has been read. */
  finished(): void;
  /** Called when the reader stops early: the process is useless then. */
  abandoned(): void;
}

/**
 * The contents of one big object, read directly from the process. Only one chunk is read ahead, so
 * a slow reader stops git. Destroying it early ends the process.
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

  /** Continues reading; called by the process when data is available. */
  pump(): void {
    while (this.#wanted && this.#left > 0) {
      const chunk = this.#source.read();
      if (chunk === null) return;
      noteBulkBytes(chunk.length);
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
