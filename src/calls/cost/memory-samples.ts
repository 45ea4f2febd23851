import { anonymousBytes } from './anonymous-bytes.ts';

/** The same interval as Gitaly's. A process that ends before the first sample has none. */
const INTERVAL_MS = 250;
/** Number of concurrent reads; other processes are sampled in later rounds. */
const MAX_READS = 32;

interface Sampled {
  readonly pid: number;
  maxBytes: number;
}

/** Samples the anonymous memory of running processes, and keeps the largest value of each. */
export class MemorySamples {
  /** Recently sampled processes are at the end. */
  readonly #running = new Set<Sampled>();
  #timer: NodeJS.Timeout | undefined;
  #isReading = false;

  /**
   * Starts to sample a process. The returned function stops it and returns the maximum; 0 without
   * samples.
   */
  start(pid: number): () => number {
    const sampled: Sampled = { pid, maxBytes: 0 };
    this.#running.add(sampled);
    this.#timer ??= setInterval(() => void this.#sample(), INTERVAL_MS).unref();
    return () => {
      this.#running.delete(sampled);
      if (this.#running.size === 0) {
        clearInterval(this.#timer);
        this.#timer = undefined;
      }
      return sampled.maxBytes;
    };
  }

  async #sample(): Promise<void> {
    if (this.#isReading) return;
    this.#isReading = true;
    await Promise.all([...this.#running].slice(0, MAX_READS).map((sampled) => this.#read(sampled)));
    this.#isReading = false;
  }

  async #read(sampled: Sampled): Promise<void> {
    const bytes = (await anonymousBytes(sampled.pid)) ?? 0;
    if (!this.#running.delete(sampled)) return;
    this.#running.add(sampled);
    sampled.maxBytes = Math.max(sampled.maxBytes, bytes);
  }
}
