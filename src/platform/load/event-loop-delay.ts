import { monitorEventLoopDelay } from 'node:perf_hooks';

/** The measurement itself wakes up in this interval, which is in every measured delay. */
const RESOLUTION_MS = 20;

/** Measures the delays of the event loop until it is disposed. */
export interface EventLoopDelay extends Disposable {
  /** Returns the 90th percentile since the last reading, in milliseconds. */
  read(): number;
}

export function startEventLoopDelay(): EventLoopDelay {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delays.enable();
  return {
    read() {
      const delayMs = Math.max(0, delays.percentile(90) / 1e6 - RESOLUTION_MS);
      delays.reset();
      return delayMs;
    },
    [Symbol.dispose]: () => void delays.disable(),
  };
}
