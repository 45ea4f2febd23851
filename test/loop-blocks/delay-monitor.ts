/**
 * Measures how long the event loop of a server is blocked. Preloaded; each message ends a
 * measurement, returns it, and starts the next one.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { watchBlocks } from '#testkit/measure/loop-turns';

/** Longest block of the event loop since the last message. */
export interface LongestBlock {
  /** Wall-clock time, with what other processes of a busy machine add. */
  readonly delayMs: number;
  /** CPU time of the main thread between two turns of its timers. */
  readonly cpuMs: number;
}

const RESOLUTION_MS = 1;

const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
delays.enable();
const blocks = watchBlocks();

process.on('message', () => {
  process.send?.({ delayMs: delays.max / 1e6, cpuMs: blocks.cpuMs } satisfies LongestBlock);
  delays.reset();
  blocks.reset();
});
