import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 10;
const IN_VAIN_MS = 30_000;
const STEADY_MS = 100;

/**
 * Waits for a condition that another process or the other side of a connection makes true. The time
 * limit is long, because a busy machine is slow.
 *
 * @param what describes the condition or the progress. Default: the text of the condition.
 * @param everyMs time between two looks: longer if a look starts a program.
 * @throws {Error} `waited in vain: <what>` after 30 s, or after `limitMs`.
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string) = String(holds),
  limitMs = IN_VAIN_MS,
  everyMs = LOOK_EVERY_MS,
): Promise<void> {
  const limit = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > limit)
      throw new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`);
    await delay(everyMs);
  }
}

/** Returns the value of a counter once it has been constant for 100 ms. */
export async function steady(count: () => number): Promise<number> {
  for (let before = count(); ; before = count()) {
    await delay(STEADY_MS);
    if (count() === before) return before;
  }
}
