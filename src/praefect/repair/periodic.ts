/**
 * Runs work again and again, each time an interval after its end. Disposing waits for work that
 * runs.
 *
 * @param work must not reject.
 */
export function periodic(
  work: (signal: AbortSignal) => Promise<void>,
  { intervalMs, startsAtOnce = false }: { intervalMs: number; startsAtOnce?: boolean },
): AsyncDisposable {
  const stopping = new AbortController();
  let running: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;
  const run = (): void => {
    running = work(stopping.signal).finally(() => plan(intervalMs));
  };
  const plan = (delayMs: number): void => {
    if (!stopping.signal.aborted) timer = setTimeout(run, delayMs).unref();
  };
  plan(startsAtOnce ? 0 : intervalMs);
  return {
    [Symbol.asyncDispose]: async () => {
      stopping.abort();
      clearTimeout(timer);
      await running;
    },
  };
}
