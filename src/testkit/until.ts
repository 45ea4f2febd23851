import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 10;
/** The pause between two checks grows to this part of the time waited so far, up to the limit. */
const PART_OF_WAIT = 0.1;
const MAX_LOOK_EVERY_MS = 500;
const IN_VAIN_MS = 30_000;
const STEADY_MS = 100;
const NEVER_MS = 50;

/**
 * Waits for a condition that another process or the other side of a connection makes true. The time
 * limit is long, because a busy machine is slow.
 *
 * @param what describes the condition or the progress. Default: the text of the condition.
 * @throws {Error} `waited in vain: <what>` after 30 s, or after `limitMs`.
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string) = String(holds),
  limitMs = IN_VAIN_MS,
): Promise<void> {
  const startedMs = performance.now();
  while (!(await holds())) {
    const waitedMs = performance.now() - startedMs;
    if (waitedMs > limitMs) throw new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`);
    // A check may read all of /proc, or start a program.
    await delay(Math.min(Math.max(LOOK_EVERY_MS, waitedMs * PART_OF_WAIT), MAX_LOOK_EVERY_MS));
  }
}

/**
 * Checks that a condition stays false for a while: there is no event to wait for.
 *
 * @param what names the condition. Default: its text.
 * @throws {Error} `happened: <what>` when it becomes true.
 */
export async function never(
  holds: () => boolean,
  what: string | (() => string) = String(holds),
  duringMs = NEVER_MS,
): Promise<void> {
  const startedMs = performance.now();
  do {
    if (holds()) throw new Error(`happened: ${typeof what === 'string' ? what : what()}`);
    await delay(LOOK_EVERY_MS);
  } while (performance.now() - startedMs < duringMs);
  if (holds()) throw new Error(`happened: ${typeof what === 'string' ? what : what()}`);
}

/** Returns the value of a counter once it has been constant for 100 ms. */
export async function steady(count: () => number | Promise<number>): Promise<number> {
  for (let before = await count(); ; ) {
    await delay(STEADY_MS);
    const now = await count();
    if (now === before) return before;
    before = now;
  }
}
