import { cpus } from 'node:os';

/** Time over which the cores are observed: a file that has started needs some of it to load. */
const SAMPLE_MS = 1000;
/** A file of tests takes a third to a half of a core. */
const MIN_IDLE_CORES = 0.5;

/** Time that all cores together have been idle since the start of the machine. */
function idleMs(): number {
  return cpus().reduce((total, { times }) => total + times.idle, 0);
}

/** Finds out when the machine's cores have nothing to do. */
export class IdleCores {
  readonly #clock: () => number;
  readonly #idleMs: () => number;
  #sinceMs: number;
  #idleSinceMs: number;

  /** @param idle the time that all cores together have been idle */
  constructor(clock = (): number => performance.now(), idle = idleMs) {
    this.#clock = clock;
    this.#idleMs = idle;
    this.#sinceMs = clock();
    this.#idleSinceMs = idle();
  }

  /**
   * Reports whether half a core has been idle for a second, and starts to observe anew if so, or
   * if the time is over: each time of idleness is reported once.
   */
  take(): boolean {
    const nowMs = this.#clock();
    const passedMs = nowMs - this.#sinceMs;
    if (passedMs < SAMPLE_MS) return false;
    const idle = this.#idleMs();
    const cores = (idle - this.#idleSinceMs) / passedMs;
    this.#sinceMs = nowMs;
    this.#idleSinceMs = idle;
    return cores >= MIN_IDLE_CORES;
  }
}
