/**
 * Waits for a promise, but no longer than until a signal is aborted. What the promise stands for goes on; whatever becomes of it then is
 * nobody's business here.
 *
 * @throws what the promise is rejected with; what `toError` makes of the aborted signal.
 */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal,
  toError: (signal: AbortSignal) => unknown = ({ reason }) => reason,
): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const onAbort = (): void => aborted.reject(toError(signal));
  if (signal.aborted) onAbort();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}
