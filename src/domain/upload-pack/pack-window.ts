import { read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import { GitalyError } from '#base/gitaly-error';
import { bulkBuffers } from '#base/memory/bulk-buffers';
import { MAX_ENTRY_HEADER_BYTES } from '#git/objects/database/pack-entry';
import type { PackOutput } from './pack-output.ts';

const readAt = promisify(read);

/** Bytes between entries that are read with them: another read takes as long. */
export const MAX_GAP_BYTES = 8 * 1024;
/** Shorter parts are read on this thread: a trip to another one takes longer. */
const MAX_SYNC_BYTES = 32 * 1024;

/** Reads entries of a pack in their order, with some reads of the file. Disposing gives memory back. */
export class PackWindow implements Disposable {
  readonly #fd: number;
  readonly #end: number;
  readonly #output: PackOutput;
  /** A part of the file, and its position there. */
  readonly #memory = bulkBuffers.take();
  #bytes = this.#memory.subarray(0, 0);
  #at = 0;

  /** @param end Position behind the last entry. */
  constructor({ end, fd }: { readonly fd: number; readonly end: number }, output: PackOutput) {
    this.#fd = fd;
    this.#end = end;
    this.#output = output;
  }

  /** The loaded part of the file. */
  get bytes(): Buffer {
    return this.#bytes;
  }

  /** Position of {@link bytes} in the file. */
  get start(): number {
    return this.#at;
  }

  /** Reports whether the header of an entry is loaded. */
  hasHeader(start: number, end: number): boolean {
    return this.#holds(start, Math.min(end - start, MAX_ENTRY_HEADER_BYTES));
  }

  /**
   * Loads a part of the file that begins with an entry, as far as there is memory.
   *
   * @throws as {@link copy}.
   */
  async load(start: number, end = this.#end): Promise<void> {
    await this.#output.drain();
    const length = Math.min(this.#memory.length, end - start);
    if (length <= 0) throw damagedPack();
    const bytesRead =
      length <= MAX_SYNC_BYTES
        ? readSync(this.#fd, this.#memory, 0, length, start)
        : (await readAt(this.#fd, this.#memory, 0, length, start)).bytesRead;
    if (bytesRead < length) throw damagedPack();
    this.#at = start;
    this.#bytes = this.#memory.subarray(0, length);
  }

  /** Copies bytes to the output if they are loaded; reports whether they were. */
  copyLoaded(start: number, end: number): boolean {
    const isHere = this.#holds(start, end - start);
    if (isHere) this.#output.add(this.#bytes, start - this.#at, end - this.#at);
    return isHere;
  }

  /**
   * Copies bytes to the output.
   *
   * @throws {GitalyError} INTERNAL when the file ends before; the system's error; errors of the
   *   output.
   */
  async copy(start: number, end: number): Promise<void> {
    for (let at = start; at < end; at = this.#at + this.#bytes.length) {
      if (!this.#holds(at, 1)) await this.load(at);
      this.#output.add(this.#bytes, at - this.#at, Math.min(end - this.#at, this.#bytes.length));
    }
  }

  [Symbol.dispose](): void {
    bulkBuffers.give(this.#memory);
  }

  #holds(start: number, length: number): boolean {
    return start >= this.#at && start + length <= this.#at + this.#bytes.length;
  }
}

export function damagedPack(): GitalyError {
  return new GitalyError('INTERNAL', 'a pack is damaged');
}
