/**
 * Runs a function for each value, a number of them concurrently. After a failure no further one
 * starts, and the error is thrown when all have ended.
 */
export async function eachConcurrently<T>(
  values: readonly T[],
  maxAtOnce: number,
  work: (value: T) => Promise<void>,
): Promise<void> {
  const left = values.values();
  let isFailed = false;
  const worker = async (): Promise<void> => {
    for (const value of left) {
      if (isFailed) return;
      try {
        await work(value);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  const workers = Array.from({ length: Math.min(maxAtOnce, values.length) }, worker);
  const ended = await Promise.allSettled(workers);
  for (const each of ended) if (each.status === 'rejected') throw each.reason;
}
