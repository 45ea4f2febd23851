import { getPriority, setPriority } from 'node:os';

/**
 * Difference to our own niceness. The process gets a tenth of the share of another one while both
 * use the same processor, so it still makes progress, and all of it when it is free.
 */
const STEPS = 10;
const MAX_NICENESS = 19;

/**
 * Lowers the priority of a process that was just started, and of the processes that it will start.
 */
export function lowerPriority(pid: number): void {
  try {
    setPriority(pid, Math.min(getPriority() + STEPS, MAX_NICENESS));
  } catch {
    // The process has ended, or a sandbox forbids the call; then it keeps its priority.
  }
}
