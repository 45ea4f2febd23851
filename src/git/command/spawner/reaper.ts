import { constants } from 'node:os';
import type { Libc } from './libc.ts';
import type { ChildExit, ResourceUsage } from './spawner.ts';

const WNOHANG = 1;
/** Longer than `struct rusage` of any Linux (144 bytes). */
const USAGE_WORDS = 32;
/**
 * Interval of a check, which limits the delay after a lost signal; the timer also keeps the event
 * loop alive while there are children.
 */
const CHECK_MS = 1_000;

/**
 * Waits for children that Node does not manage. On SIGCHLD it polls each of our children by its id,
 * so Node's children remain Node's.
 */
export class Reaper {
  readonly #libc: Libc;
  readonly #children = new Map<number, (exit: ChildExit) => void>();
  readonly #status = new Int32Array(1);
  readonly #usage = new BigInt64Array(USAGE_WORDS);
  #timer: NodeJS.Timeout | undefined;

  constructor(libc: Libc) {
    this.#libc = libc;
    process.on('SIGCHLD', () => this.#reap());
  }

  /** Resolves with the child's exit once it has been reaped. */
  wait(pid: number): Promise<ChildExit> {
    this.#timer ??= setInterval(() => this.#reap(), CHECK_MS);
    return new Promise((resolve) => {
      this.#children.set(pid, resolve);
    });
  }

  #reap(): void {
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
    if (this.#children.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
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
