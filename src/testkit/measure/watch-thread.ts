import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';

let started: Promise<unknown> = Promise.resolve();
process.on('worker', (worker) => {
  started = once(worker, 'online');
});

/**
 * Resolves when the thread that watches the event loop runs: a block before that has no stack.
 * Servers of one process share the thread. Import this file before the first of them starts.
 */
export async function watchThreadStarted(): Promise<void> {
  await nextTurn(); // Node reports a new thread a moment after it was made
  await started;
}
