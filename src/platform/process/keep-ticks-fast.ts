import { executionAsyncResource } from 'node:async_hooks';

/** An object that Node has made for a tick. */
const kept: object[] = [];

/**
 * Keeps `process.nextTick` fast for the life of the process.
 *
 * Node makes an object with computed keys for each tick. V8's fast code for such a literal is bound
 * to the hidden classes of the first objects. When no tick waits during a few full garbage
 * collections, as in an idle server, the hidden classes are collected, and V8 treats those of later
 * ticks as a change: from then on it makes each object in its slow way, which takes three times as
 * long, and never returns to the fast one. A FindCommit needs 14 ticks in praefect. One object
 * keeps the hidden classes alive.
 */
export function keepTicksFast(): void {
  process.nextTick(() => {
    if (kept.length === 0) kept.push(executionAsyncResource());
  });
}
