import { setTimeout as delay } from 'node:timers/promises';

const LOOK_EVERY_MS = 10;
const IN_VAIN_MS = 30_000;
const STEADY_MS = 100;

/**
 * Waits for something that happens by itself, elsewhere: another process, the other side of a connection. On a machine with much to do
 * that takes its time, so the limit is far away.
 *
 * @param what says what was waited for, or how far it came. Default: the text of the condition.
 * @throws {Error} `waited in vain: <what>` after 30 s.
 */
export async function until(
  holds: () => boolean | Promise<boolean>,
  what: string | (() => string) = String(holds),
): Promise<void> {
  const limit = performance.now() + IN_VAIN_MS;
  while (!(await holds())) {
    if (performance.now() > limit) throw new Error(`waited in vain: ${typeof what === 'string' ? what : what()}`);
    await delay(LOOK_EVERY_MS);
  }
}

/** The value of a counter once it has stood still for 100 ms. */
export async function steady(count: () => number): Promise<number> {
  for (let before = count(); ; before = count()) {
    await delay(STEADY_MS);
    if (count() === before) return before;
  }
}
