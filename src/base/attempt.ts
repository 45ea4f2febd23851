/**
 * Returns what a function returns, and `undefined` if it throws: for what may fail for any reason,
 * which somebody else reports or which does not matter.
 */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
