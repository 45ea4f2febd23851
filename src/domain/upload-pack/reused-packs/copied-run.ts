import type { PackOutput } from '../pack-output.ts';
import type { PackWindow } from '../pack-window.ts';

/**
 * Copies entries of a pack that follow one another as one run of bytes, which is copied when it
 * ends.
 */
export class CopiedRun {
  /** Position in the file at which it begins, and behind it. */
  start: number;
  end: number;
  readonly #window: PackWindow;
  readonly #output: PackOutput;
  /** Position of the first byte that was not copied. */
  #copied: number;

  /** @param start Position in the file; an empty run begins there. */
  constructor(window: PackWindow, output: PackOutput, start: number) {
    this.#window = window;
    this.#output = output;
    this.start = start;
    this.end = start;
    this.#copied = start;
  }

  /** Position in the output behind the run. */
  get position(): number {
    return this.#output.position + this.end - this.#copied;
  }

  /** Begins anew at a position in the file. Nothing may wait to be copied. */
  restart(start: number): void {
    this.start = start;
    this.end = start;
    this.#copied = start;
  }

  /** Copies what waits if it is loaded; reports whether nothing waits any more. */
  copyLoaded(): boolean {
    if (this.#copied < this.end && !this.#window.copyLoaded(this.#copied, this.end)) return false;
    this.#copied = this.end;
    return true;
  }

  /** Copies what waits. @throws as {@link PackWindow.copy}. */
  async copy(): Promise<void> {
    await this.#window.copy(this.#copied, this.end);
    this.#copied = this.end;
  }
}
