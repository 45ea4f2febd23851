import type { HookOutput } from './hook-output.ts';

/**
 * Limit of kept output of hooks: it becomes part of an error message, and clients refuse long ones.
 */
const MAX_CAPTURED_BYTES = 64 * 1024;

/** Keeps the beginning of the output of hooks. */
export class CapturedOutput implements HookOutput {
  readonly #stdout = new Head();
  readonly #stderr = new Head();

  get stdoutBytes(): Buffer {
    return this.#stdout.bytes();
  }

  get stderrBytes(): Buffer {
    return this.#stderr.bytes();
  }

  async stdout(bytes: Uint8Array): Promise<void> {
    this.#stdout.add(bytes);
  }

  async stderr(bytes: Uint8Array): Promise<void> {
    this.#stderr.add(bytes);
  }
}

class Head {
  readonly #chunks: Uint8Array[] = [];
  #size = 0;

  add(bytes: Uint8Array): void {
    const kept = bytes.subarray(0, MAX_CAPTURED_BYTES - this.#size);
    if (kept.length === 0) return;
    this.#chunks.push(Buffer.from(kept));
    this.#size += kept.length;
  }

  bytes(): Buffer {
    return Buffer.concat(this.#chunks, this.#size);
  }
}
