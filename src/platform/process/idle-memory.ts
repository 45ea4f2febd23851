import { availableParallelism, loadavg } from 'node:os';
import { attempt } from '#base/attempt';
import { garbageCollector } from '#base/memory/garbage-collector';

/** Parts of {@link IdleMemory} that a test replaces. */
export interface IdleMemoryOptions {
  /** Returns the share of the time since the last call in which the process used a processor. */
  readonly busyShare?: () => number;
  /** Returns the resident memory in bytes. */
  readonly resident?: () => number;
  /** Returns the tasks of the machine that run or want to, for each of its processors. */
  readonly hostLoad?: () => number;
  readonly collect?: () => void;
  /** Returns the time in milliseconds. */
  readonly now?: () => number;
}

/** Interval of the checks: a process is idle when it was idle for as long. */
const CHECK_EVERY_MS = 2000;
/**
 * Health checks, timers and the statements of an idle cluster manager take 0.5 %, and twice as much
 * or more on a busy machine. 2 % are a hundred small calls a second.
 */
const IDLE_SHARE = 0.02;
/**
 * Time without calls, and since the last collection, before the next one. After shorter lulls more
 * calls follow, and a collection makes them slow: the FindCommit that praefect passes on in bursts
 * every ten seconds took 1.6 times the processor time of a process that never collects so.
 */
const REST_MS = 30_000;
/**
 * Tasks per processor above which the machine is too busy: a collection of 0.1 s then blocks the
 * event loop for a second, and others need the processor more than the memory.
 */
const BUSY_HOST_LOAD = 4;
/** Growth since the last collection that is worth a pause of 0.1 s. */
const GROWTH_BYTES = 8e6;

/**
 * Returns the memory of an idle process to the system. V8 does not do so by itself: it collects
 * when it allocates, and an idle process allocates nothing. A collection takes about 0.1 s, so it
 * runs only when the process does nothing: first in the seconds after the start, whose garbage is
 * 15 MB, then half a minute after every load that has left some.
 */
export class IdleMemory {
  readonly #busyShare: () => number;
  readonly #resident: () => number;
  readonly #hostLoad: () => number;
  readonly #collect: () => void;
  readonly #now: () => number;
  #residentAfter = 0;
  #nextAt = 0;

  constructor({ busyShare, collect, hostLoad, now, resident }: IdleMemoryOptions = {}) {
    this.#busyShare = busyShare ?? processorShare();
    this.#resident = resident ?? residentBytes;
    this.#hostLoad = hostLoad ?? loadOfProcessors;
    this.#collect = collect ?? (() => garbageCollector()({ type: 'major', flavor: 'last-resort' }));
    this.#now = now ?? (() => performance.now());
  }

  /**
   * Collects if the process has been idle for long enough and has grown since the last collection.
   * A process that waits for the work of others is not interrupted either: it would block what they
   * return. On a busy machine it waits for a quieter time.
   */
  check(): void {
    if (this.#busyShare() >= IDLE_SHARE) {
      // The garbage of the start is collected in the first pause of the process.
      if (this.#residentAfter > 0) this.#nextAt = this.#now() + REST_MS;
      return;
    }
    for (const isWorking of workChecks) if (isWorking()) return;
    if (this.#now() < this.#nextAt || this.#resident() - this.#residentAfter < GROWTH_BYTES) return;
    if (this.#hostLoad() > BUSY_HOST_LOAD) return;
    this.#collect();
    afterCollection?.();
    this.#residentAfter = this.#resident();
    this.#nextAt = this.#now() + REST_MS;
    this.#busyShare(); // begins the next share after the collection
  }
}

/** Returns the resident memory; 0 if there is no descriptor left with which to read it. */
function residentBytes(): number {
  return attempt(() => process.memoryUsage.rss()) ?? 0;
}

function loadOfProcessors(): number {
  const [lastMinute = 0] = loadavg();
  return lastMinute / availableParallelism();
}

let afterCollection: (() => void) | undefined;

/** Registers a function that releases further memory after each collection. */
export function alsoRelease(release: () => void): void {
  afterCollection = release;
}

const workChecks = new Set<() => boolean>();

/** Registers a check: while one of them returns true, nothing is released. Dispose the result. */
export function releaseUnless(isWorking: () => boolean): Disposable {
  workChecks.add(isWorking);
  return { [Symbol.dispose]: () => void workChecks.delete(isWorking) };
}

/** Starts the checks. They end with the process, which they do not keep alive. */
export function releaseMemoryWhenIdle(): void {
  const memory = new IdleMemory();
  setInterval(() => memory.check(), CHECK_EVERY_MS).unref();
}

/**
 * Returns a function for the share of the time since its last call in which the process used a
 * processor. The share of the event loop would count the time in which it waits for one: on a busy
 * machine, an idle process would never be idle.
 *
 * @param usedUs processor time of the process, in microseconds.
 * @param nowMs the time in milliseconds.
 */
export function processorShare(
  usedUs: () => number = processorTime,
  nowMs: () => number = () => performance.now(),
): () => number {
  let [beforeUs, beforeMs] = [usedUs(), nowMs()];
  return () => {
    const [us, ms] = [usedUs(), nowMs()];
    const share = (us - beforeUs) / 1000 / (ms - beforeMs);
    [beforeUs, beforeMs] = [us, ms];
    return share;
  };
}

function processorTime(): number {
  const { system, user } = process.cpuUsage();
  return system + user;
}
