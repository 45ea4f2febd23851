/** Counts the iterations of the event loop from now on, until the result is disposed. */
export function countTurns(): { readonly count: number } & Disposable {
  let count = 0;
  const next = (): void => {
    count++;
    timer = setImmediate(next);
  };
  let timer = setImmediate(next);
  return {
    get count() {
      return count;
    },
    [Symbol.dispose]: () => clearImmediate(timer),
  };
}

/** Blocks the event loop for a time. */
export function blockFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}
