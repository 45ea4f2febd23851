/**
 * Size of all parts that are sent concurrently; the part that is being collected is not included.
 */
const MAX_SENT_BYTES = 10 * 1024 * 1024;
/**
 * Time for parts that are being sent when another one fails or the call is aborted. A service goes
 * on with a request that is cut, so that its part could appear after the upload was removed.
 */
const GRACE_MS = 2000;

/**
 * Sends parts, several at once, and returns the results in their order. After a failure or an abort
 * no other part is started, and all have ended when the error is thrown.
 */
export async function sendParts<T>(
  parts: AsyncIterable<Buffer>,
  sendPart: (body: Buffer, number: number, signal: AbortSignal) => Promise<T>,
  { signal }: { readonly signal: AbortSignal },
): Promise<T[]> {
  const results: T[] = [];
  const failures: unknown[] = [];
  const running = new Set<Promise<void>>();
  const ending = new AbortController();
  let grace: NodeJS.Timeout | undefined;
  let sentBytes = 0;
  let count = 0;
  const fail = (error: unknown): void => {
    failures.push(error);
    grace ??= setTimeout(() => ending.abort(error), GRACE_MS);
  };
  const start = (body: Buffer): void => {
    const index = count++;
    sentBytes += body.length;
    const work = sendPart(body, index + 1, ending.signal)
      .then((result) => {
        results[index] = result;
      }, fail)
      .finally(() => {
        sentBytes -= body.length;
        running.delete(work);
      });
    running.add(work);
  };
  const throwFailure = (): void => {
    if (failures.length > 0) throw failures[0];
  };
  const onAbort = (): void => fail(signal.reason);
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    for await (const part of parts) {
      while (running.size > 0 && sentBytes + part.length > MAX_SENT_BYTES) await Promise.race(running);
      throwFailure();
      start(part);
    }
    await Promise.all(running);
    throwFailure();
    return results;
  } catch (error) {
    fail(error);
    await Promise.all(running);
    throw failures[0];
  } finally {
    clearTimeout(grace);
    signal.removeEventListener('abort', onAbort);
  }
}
