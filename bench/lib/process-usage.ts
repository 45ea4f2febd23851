import { readFileSync, writeFileSync } from 'node:fs';

/**
 * The kernel counts CPU time in hundredths of a second (USER_HZ on every Linux platform of Node).
 */
const MS_PER_TICK = 10;
const UTIME = 11;

export interface CpuTime {
  /** Time of the process itself, all threads, in milliseconds with steps of 10. */
  readonly ownMs: number;
  /** Time of its children that have ended and were reaped. */
  readonly childrenMs: number;
}

/** Returns the CPU time of a process so far, from `/proc/<pid>/stat`. */
export function cpuTime(pid: number): CpuTime {
  return timeIn(`/proc/${pid}/stat`);
}

/** Returns the CPU time of the thread with the event loop, in milliseconds with steps of 10. */
export function mainThreadMs(pid: number): number {
  return timeIn(`/proc/${pid}/task/${pid}/stat`).ownMs;
}

function timeIn(file: string): CpuTime {
  const stat = readFileSync(file, 'latin1');
  // The second field is the program's name in parentheses and may contain any character.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user = 0, system = 0, childrenUser = 0, childrenSystem = 0] = fields
    .slice(UTIME, UTIME + 4)
    .map(Number);
  return { ownMs: (user + system) * MS_PER_TICK, childrenMs: (childrenUser + childrenSystem) * MS_PER_TICK };
}

/** Returns the CPU time of a process during an operation. */
export async function cpuDuring(pid: number, run: () => Promise<unknown>): Promise<CpuTime> {
  const before = cpuTime(pid);
  await run();
  const after = cpuTime(pid);
  return { ownMs: after.ownMs - before.ownMs, childrenMs: after.childrenMs - before.childrenMs };
}

/**
 * Returns the resident memory of a process in MB (10^6 bytes): current, peak, and the current part
 * without the pages of files, such as Node's program, which all processes share.
 */
export function residentMb(pid: number): {
  readonly now: number;
  readonly peak: number;
  readonly own: number;
} {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1');
  const megabytes = (key: string): number =>
    (Number(new RegExp(`^${key}:\\s*(\\d+) kB`, 'm').exec(status)?.[1]) * 1024) / 1e6;
  return { now: megabytes('VmRSS'), peak: megabytes('VmHWM'), own: megabytes('RssAnon') };
}

/** Begins the peak of {@link residentMb} anew. */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
