import { readFileSync } from 'node:fs';

/** Interval of the checks; a process that ends within it costs nothing. */
const LOOK_EVERY_MS = 1000;
/** Unit of the times in `/proc/<pid>/stat` on Linux. @see man 5 proc, sysconf(_SC_CLK_TCK) */
const TICKS_PER_SECOND = 100;

export interface CpuLimit {
  readonly pid: number;
  readonly maxSeconds: number;
  /** Called once, at most a second after the limit was exceeded. */
  readonly onExceeded: () => void;
}

/**
 * Watches the CPU time of a process from now on. Disposing ends the watch. Does nothing without
 * `/proc` (macOS), and does not count children.
 */
export function limitCpu({ pid, maxSeconds, onExceeded }: CpuLimit): Disposable {
  let before: number | undefined;
  const timer = setInterval(() => {
    const used = cpuSecondsOf(pid);
    if (used !== undefined) {
      // It ran at most one interval before the first check.
      before ??= Math.max(0, used - LOOK_EVERY_MS / 1000);
      if (used - before <= maxSeconds) return;
      onExceeded();
    }
    clearInterval(timer);
  }, LOOK_EVERY_MS).unref();
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

/** Returns user and system time; `undefined` if there is no such process. */
function cpuSecondsOf(pid: number): number | undefined {
  try {
    // The name of the program is in parentheses and may have spaces; the times are fields 14 and
    // 15.
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
      .replace(/^.*\) /s, '')
      .split(' ');
    return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
  } catch {
    // The process has ended, or the system has no `/proc`.
    return undefined;
  }
}
