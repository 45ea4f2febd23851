import { readdirSync, readFileSync } from 'node:fs';
import { cpuTime, residentMb } from './process-usage.ts';

/**
 * Returns the CPU time of a process, of those that it started, and of theirs, in milliseconds.
 * Processes that have ended count once they were reaped.
 */
export function treeTime(pid: number): number {
  return sumOf(pid, (each) => {
    const { ownMs, childrenMs } = cpuTime(each);
    return ownMs + childrenMs;
  });
}

/** Returns the resident memory of a process and its descendants; shared pages count for each. */
export function treeMemoryMb(pid: number): number {
  return sumOf(pid, (each) => residentMb(each).now);
}

/** Sums a figure of a process and its descendants. Those that end meanwhile count as 0. */
function sumOf(pid: number, figure: (pid: number) => number): number {
  try {
    const children = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
      readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').split(' ').filter(Boolean).map(Number),
    );
    const own = figure(pid);
    return children.reduce((sum, child) => sum + sumOf(child, figure), Number.isNaN(own) ? 0 : own);
  } catch {
    return 0;
  }
}
