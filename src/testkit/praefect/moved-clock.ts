import type { TestContext } from 'node:test';
import { setImmediate as immediate } from 'node:timers/promises';
import { replaceMethod } from '../replace-method.ts';

/** A clock and timers that a test moves. Returns the function that does so, by milliseconds. */
export function movedClock(context: TestContext): (ms: number) => Promise<void> {
  let nowMs = 0;
  context.mock.timers.enable({ apis: ['setTimeout'] });
  replaceMethod(context, performance, 'now', () => nowMs);
  return async (ms) => {
    nowMs += ms;
    context.mock.timers.tick(ms);
    await immediate();
  };
}
