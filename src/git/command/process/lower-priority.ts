import { getPriority, setPriority } from 'node:os';

/**
 * Difference to our own niceness. The process gets a tenth of the share of another one while both
 * use the same processor, so it still makes progress, and all of it when it is free.
 */
const STEPS = 10;
const MAX_NICENESS = 19;

/** Lets a process that has just been started, and those that it will start, run after others. */
export function lowerPriority(pid: number): void {
  try {
    setPriority(pid, Math.min(getPriority() + STEPS, MAX_NICENESS));
  } catch {
    // It has ended, or a sandbox forbids the call: then it runs like the others.
  }
}
