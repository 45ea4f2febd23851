import { constants } from 'node:os';
import type { Libc } from './libc.ts';
import type { ChildExit, ResourceUsage } from './spawner.ts';

const WNOHANG = 1;
/** Longer than `struct rusage` of any Linux (144 bytes). */
const USAGE_WORDS = 32;
/** Interval of the checks where signals arrive: limits the delay after a lost signal. */
const CHECK_MS = 1_000;
/**
 * First and longest interval of the checks where no signal arrives. Each is an eighth longer than
 * the one before, so an end is detected late by at most an eighth of the child's time.
 */
const FIRST_POLL_MS = 1;
const LONGEST_POLL_MS = 50;
const POLL_GROWTH = 1.125;

/**
 * Waits for children that Node does not manage. On SIGCHLD it polls each of our children by its id,
 * so Node's children remain Node's.
 *
 * Not every host delivers the signal (`process` in Jest's sandbox is a copy that gets none). Until
 * one has arrived, and after a check that found an end without one, it polls at short intervals.
 * The timer of the checks also keeps the event loop alive while there are children.
 */
export class Reaper {
  readonly #libc: Libc;
  readonly #children = new Map<number, (exit: ChildExit) => void>();
  readonly #status = new Int32Array(1);
  readonly #usage = new BigInt64Array(USAGE_WORDS);
  #signalsArrive = false;
  #pollMs = FIRST_POLL_MS;
  #timer: NodeJS.Timeout | undefined;

  constructor(libc: Libc) {
    this.#libc = libc;
    process.on('SIGCHLD', () => this.#onSignal());
  }

  /** Resolves with the child's exit once it has been reaped. */
  wait(pid: number): Promise<ChildExit> {
    this.#pollMs = FIRST_POLL_MS;
    if (this.#timer === undefined || !this.#signalsArrive) this.#schedule();
    return new Promise((resolve) => {
      this.#children.set(pid, resolve);
    });
  }

  #onSignal(): void {
    const wasPolling = !this.#signalsArrive;
    this.#signalsArrive = true;
    this.#reap();
    if (wasPolling && this.#children.size > 0) this.#schedule();
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#check(), this.#signalsArrive ? CHECK_MS : this.#pollMs);
  }

  #check(): void {
    if (this.#reap() > 0) this.#signalsArrive = false;
    this.#pollMs = Math.min(LONGEST_POLL_MS, this.#pollMs * POLL_GROWTH);
    if (this.#children.size > 0) this.#schedule();
  }

  /** Reaps the children that have ended and returns their number. */
  #reap(): number {
    const before = this.#children.size;
    for (const [pid, resolve] of this.#children) {
      const result = this.#libc.wait4(pid, this.#status, WNOHANG, this.#usage);
      if (result === 0) continue;
      this.#children.delete(pid);
      // -1: another caller has reaped it. Nothing else is known.
      resolve(
        result === pid
          ? exitOf(this.#status[0] ?? 0, this.#usage)
          : { code: undefined, signal: undefined, usage: undefined },
      );
    }
    if (this.#children.size === 0) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
    }
    return before - this.#children.size;
  }
}

/** Decodes a wait status: the signal is in the low seven bits, the exit code in the next byte. */
function exitOf(status: number, usage: BigInt64Array): ChildExit {
  const signal = status & 0x7f;
  if (signal === 0) return { code: (status >> 8) & 0xff, signal: undefined, usage: usageOf(usage) };
  return { code: undefined, signal: SIGNAL_NAMES.get(signal) ?? 'SIGKILL', usage: usageOf(usage) };
}

// The keys of os.constants.signals are the names of signals. Of two names, the first is the usual
// one (SIGABRT, SIGIOT).
const SIGNAL_NAMES = new Map(
  Object.entries(constants.signals)
    .reverse()
    .map(([name, number]) => [number, name as NodeJS.Signals]),
);

/**
 * Decodes `struct rusage` of 64-bit Linux: two times of two words each, then fourteen counters.
 */
function usageOf(words: BigInt64Array): ResourceUsage {
  const word = (index: number): number => Number(words[index] ?? 0n);
  return {
    userMs: word(0) * 1_000 + word(1) / 1_000,
    systemMs: word(2) * 1_000 + word(3) / 1_000,
    maxRssKilobytes: word(4),
    minorFaults: word(8),
    majorFaults: word(9),
    blocksIn: word(11),
    blocksOut: word(12),
    signals: word(15),
    voluntarySwitches: word(16),
    involuntarySwitches: word(17),
  };
}
