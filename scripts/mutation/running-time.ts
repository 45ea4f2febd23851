const TICK_MS = 100;
/** A longer time between two ticks was a stop: nothing in this program takes so long. */
const STOP_MS = 5_000;

/** The end of a wait, and what happened in it. */
export interface RunningTime {
  /** True if this program was stopped: tests that were waiting may have failed for it. */
  readonly wasStopped: boolean;
  end(): void;
}

/**
 * Calls a function after a time in which this program ran. While the machine or all processes are
 * stopped, so are the tests: that time is not counted.
 */
export function afterRunning(ms: number, call: () => void, stopMs = STOP_MS): RunningTime {
  let ticks = Math.ceil(ms / TICK_MS);
  let lastMs = performance.now();
  let wasStopped = false;
  const look = (): void => {
    const nowMs = performance.now();
    wasStopped ||= nowMs - lastMs > stopMs;
    lastMs = nowMs;
  };
  // After a stop of any length, an interval is due only once.
  const timer = setInterval(() => {
    look();
    if (--ticks > 0) return;
    clearInterval(timer);
    call();
  }, TICK_MS);
  return {
    get wasStopped() {
      look();
      return wasStopped;
    },
    end: () => clearInterval(timer),
  };
}
