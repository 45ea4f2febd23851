/**
 * The thread of {@link LoopWatch}. It sleeps until the main thread has been silent for too long.
 * Then it runs a function of the main thread by the debugger's protocol, in the middle of the code
 * that blocks: V8 checks for such requests in loops, calls and regular expressions.
 */
import { Session } from 'node:inspector';
import { workerData } from 'node:worker_threads';
import type { WatchThreadData } from './watch-thread-data.ts';

// Only LoopWatch starts this thread.
const { beat, interrupt, limitMs, stop } = workerData as WatchThreadData;
const beats = new BigInt64Array(beat);
const stops = new Int32Array(stop);
/** Interval of the checks while the main thread is silent. */
const STEP_MS = 100;

/** The sign of life since which there is silence. */
let last = Atomics.load(beats, 0);
/** When the main thread is interrupted next in this silence, by `performance.now`. */
let dueMs = 0;
do {
  const current = Atomics.load(beats, 0);
  if (current !== last) dueMs = 0;
  last = current;
  if (silenceMs() >= limitMs && performance.now() >= dueMs) {
    const againMs = await interruptMainThread();
    dueMs = againMs > 0 ? performance.now() + againMs : Number.POSITIVE_INFINITY;
  }
} while (sleep(Math.max(STEP_MS, limitMs - silenceMs())));

/** Waits for a time. Returns false when the thread has to end. */
function sleep(ms: number): boolean {
  return Atomics.wait(stops, 0, 0, ms) === 'timed-out';
}

/** Time since the main thread has last shown that its event loop runs. */
function silenceMs(): number {
  return Number((process.hrtime.bigint() - Atomics.load(beats, 0)) / 1_000_000n);
}

/** Runs the function of the main thread. Returns the time of its next call; 0 for never. */
async function interruptMainThread(): Promise<number> {
  const session = new Session();
  session.connectToMainThread();
  // The session itself does not keep the thread alive while it waits.
  const alive = setInterval(() => {}, limitMs);
  try {
    const { promise, resolve } = Promise.withResolvers<number>();
    session.post('Runtime.evaluate', { expression: interrupt, returnByValue: true }, (error, answer) =>
      resolve(error === null ? Number(answer.result.value ?? 0) : 0),
    );
    return await promise;
  } finally {
    clearInterval(alive);
    session.disconnect();
  }
}
