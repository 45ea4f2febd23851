import { randomUUID } from 'node:crypto';
import { clearInterval, clearTimeout, setInterval, setTimeout } from 'node:timers';
import { isMainThread, Worker } from 'node:worker_threads';
import type { WatchThreadData } from './watch-thread-data.ts';

/** Time for which the event loop may be blocked without a report. */
export const BLOCKED_MS = 1000;
/** A block that goes on for so long is reported before its end, which may never come. */
export const STILL_BLOCKED_MS = 5000;
/**
 * Interval of the main thread's signs of life. Each is a timer that stores a number. With both
 * threads an idle process takes 0.1 % of a processor.
 */
const BEAT_MS = 250;
/** The thread outlives its last user by so long: another server in this process may follow. */
const KEEP_THREAD_MS = 5000;
/** Frames of a stack. */
const MAX_FRAMES = 40;
/** The thread takes some 6 MiB of memory; these limits only stop it from growing. */
const THREAD_LIMITS = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 1 };

/** Compiled or not, as this file is. */
const THREAD = import.meta.filename.endsWith('.ts')
  ? new URL('./watch-thread.ts', import.meta.url)
  : new URL('./watch-thread.js', import.meta.url);

/** A time in which the event loop handled no events. */
export interface LoopBlock<C> {
  /** Unix time of its begin, in milliseconds. */
  readonly startedAtMs: number;
  /** Its length so far. */
  readonly blockedMs: number;
  /**
   * Processor time of the main thread meanwhile. If it is much less than `blockedMs`, the thread
   * has waited: for a processor or for the disk.
   */
  readonly processorMs: number;
  readonly isOver: boolean;
  /**
   * The JavaScript stack about a second after the begin, innermost function first; empty where the
   * runtime cannot report it.
   */
  readonly stack: readonly string[];
  /** The observer's capture at that moment; `undefined` if the stack is empty. */
  readonly captured: C | undefined;
}

/** One who is notified of blocks. */
export interface LoopObserver<C> {
  /** Called in the middle of the code that blocks, in its asynchronous context. It must be quick. */
  capture(): C;
  /**
   * Called once for each block: at its end; or, for a long one, while it goes on, and then again at
   * its end.
   */
  onBlocked(block: LoopBlock<C>): void;
}

interface CurrentBlock {
  readonly stack: readonly string[];
  readonly captured: ReadonlyMap<LoopObserver<unknown>, unknown>;
  isReported: boolean;
}

/**
 * Watches the event loop of the main thread. A second thread detects when it is blocked, and
 * interrupts the running code to read its stack; see `watch-thread.ts`. Where there is no debugger
 * (Bun, worker threads), blocks are reported at their end, without a stack.
 */
class LoopWatch {
  readonly #observers = new Set<LoopObserver<unknown>>();
  readonly #beats = new BigInt64Array(new SharedArrayBuffer(8));
  #beatAt = performance.eventLoopUtilization();
  #usedAtBeatMs = 0;
  #timer: NodeJS.Timeout | undefined;
  #thread: WatchThread | undefined;
  #ending: NodeJS.Timeout | undefined;
  #block: CurrentBlock | undefined;

  /** Notifies an observer of blocks until the result is disposed. */
  observe<C>(observer: LoopObserver<C>): Disposable {
    // What it gets back as captured is what it captured.
    const kept = observer as LoopObserver<unknown>;
    this.#observers.add(kept);
    clearTimeout(this.#ending);
    if (this.#timer === undefined) {
      this.#beat();
      this.#timer = setInterval(() => this.#onTimer(), BEAT_MS).unref();
    }
    this.#thread ??= startThread(this.#beats, () => this.#interrupt());
    return { [Symbol.dispose]: () => this.#leave(kept) };
  }

  #leave(observer: LoopObserver<unknown>): void {
    this.#observers.delete(observer);
    if (this.#observers.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    // Without beats the main thread seems blocked, but no code is running.
    clearTimeout(this.#ending);
    this.#ending = setTimeout(() => {
      this.#thread?.end();
      this.#thread = undefined;
    }, KEEP_THREAD_MS).unref();
  }

  #beat(): void {
    this.#beatAt = performance.eventLoopUtilization();
    this.#usedAtBeatMs = processorMs();
    Atomics.store(this.#beats, 0, process.hrtime.bigint());
  }

  #onTimer(): void {
    const blockedMs = this.#activeMs();
    const block = this.#block;
    this.#block = undefined;
    if (blockedMs >= BLOCKED_MS) this.#report(block, blockedMs, true);
    this.#beat();
  }

  /** Time for which the event loop has not waited for events since the last beat. */
  #activeMs(): number {
    return performance.eventLoopUtilization(this.#beatAt).active;
  }

  /**
   * Reads the stack of the running code. The thread calls this in the middle of it.
   *
   * @returns when it has to be called again in this block, in milliseconds; 0 for never.
   */
  #interrupt(): number {
    if (this.#timer === undefined) return 0;
    const blockedMs = this.#activeMs();
    if (blockedMs < BLOCKED_MS) return Math.ceil(BLOCKED_MS - blockedMs);
    this.#block ??= this.#look();
    if (blockedMs < STILL_BLOCKED_MS) return Math.ceil(STILL_BLOCKED_MS - blockedMs);
    if (!this.#block.isReported) this.#report(this.#block, blockedMs, false);
    this.#block.isReported = true;
    return 0;
  }

  #look(): CurrentBlock {
    const stack = stackBelow();
    const captured = new Map<LoopObserver<unknown>, unknown>();
    if (stack.length > 0) for (const each of this.#observers) captured.set(each, each.capture());
    return { stack, captured, isReported: false };
  }

  #report(block: CurrentBlock | undefined, blockedMs: number, isOver: boolean): void {
    const startedAtMs = Date.now() - blockedMs;
    const usedMs = processorMs() - this.#usedAtBeatMs;
    for (const observer of this.#observers) {
      const captured = block?.captured.get(observer);
      const stack = block?.stack ?? [];
      observer.onBlocked({ startedAtMs, blockedMs, processorMs: usedMs, isOver, stack, captured });
    }
  }
}

/** Returns the processor time of this thread; in Bun, of the whole process. */
function processorMs(): number {
  const { system, user } = process.versions.bun === undefined ? process.threadCpuUsage() : process.cpuUsage();
  return (system + user) / 1000;
}

/** Returns the frames of the code that was interrupted; none if no code was running. */
function stackBelow(): readonly string[] {
  const limit = Error.stackTraceLimit;
  Error.stackTraceLimit = MAX_FRAMES;
  const { stack = '' } = new Error();
  Error.stackTraceLimit = limit;
  const frames = stack
    .split('\n')
    .slice(1)
    .map((line) => line.trim());
  // The innermost ones are those of the interruption, down to the expression.
  return frames.slice(frames.findIndex((frame) => frame.startsWith('at <anonymous>:1:')) + 1);
}

interface WatchThread {
  end(): void;
}

/** Starts the thread; `undefined` where it could not see the main thread's stack. */
function startThread(
  beats: BigInt64Array<SharedArrayBuffer>,
  interrupt: () => number,
): WatchThread | undefined {
  if (!isMainThread || process.versions.bun !== undefined || !process.features.inspector) return undefined;
  const name = `gitaly-ts.loop-watch.${randomUUID()}`;
  Object.defineProperty(globalThis, Symbol.for(name), { value: interrupt, configurable: true });
  const stop = new SharedArrayBuffer(4);
  const workerData: WatchThreadData = {
    beat: beats.buffer,
    stop,
    limitMs: BLOCKED_MS,
    interrupt: `globalThis[Symbol.for('${name}')]?.()`,
  };
  const worker = new Worker(THREAD, { workerData, resourceLimits: THREAD_LIMITS, execArgv: [], env: {} });
  worker.unref();
  // Without the thread, blocks are still reported at their end.
  worker.on('error', () => {});
  return {
    end() {
      Reflect.deleteProperty(globalThis, Symbol.for(name));
      const stops = new Int32Array(stop);
      Atomics.store(stops, 0, 1);
      Atomics.notify(stops, 0);
      void worker.terminate();
    },
  };
}

/** One per process, because there is one event loop. */
const watch = new LoopWatch();

/** Notifies an observer when the event loop was blocked, until the result is disposed. */
export function watchLoop<C>(observer: LoopObserver<C>): Disposable {
  return watch.observe(observer);
}
