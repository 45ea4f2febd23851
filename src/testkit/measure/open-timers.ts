import type { TestContext } from 'node:test';

/**
 * Watches the timers of `setTimeout` and `setInterval` that are set from now on in a test. Returns
 * a function that counts those that have neither fired nor been cleared. A timer that is left
 * behind keeps all that it refers to.
 */
export function openTimers({ mock }: TestContext): () => number {
  const { clearInterval, clearTimeout, setInterval, setTimeout } = globalThis;
  const open = new Set<unknown>();
  const add = (timer: NodeJS.Timeout): NodeJS.Timeout => {
    open.add(timer);
    const dispose = timer[Symbol.dispose].bind(timer);
    timer[Symbol.dispose] = () => {
      open.delete(timer);
      dispose();
    };
    return timer;
  };
  mock.method(
    globalThis,
    'setTimeout',
    (run: (...args: unknown[]) => void, ms?: number, ...args: unknown[]) => {
      const timer: NodeJS.Timeout = setTimeout(() => {
        open.delete(timer);
        run(...args);
      }, ms);
      return add(timer);
    },
  );
  mock.method(globalThis, 'setInterval', (run: () => void, ms?: number) => add(setInterval(run, ms)));
  mock.method(globalThis, 'clearTimeout', (timer?: NodeJS.Timeout) => {
    open.delete(timer);
    clearTimeout(timer);
  });
  mock.method(globalThis, 'clearInterval', (timer?: NodeJS.Timeout) => {
    open.delete(timer);
    clearInterval(timer);
  });
  return () => open.size;
}
