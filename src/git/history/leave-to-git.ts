/**
 * Tries to answer in process; `undefined` when that does not work out for whatever reason: git, asked the same, says what is wrong with the
 * repository in its own words.
 *
 * @throws when `signal` is aborted: nobody waits for an answer any more.
 */
export async function orLeaveToGit<T>(
  attempt: () => Promise<T | undefined>,
  signal: AbortSignal | undefined,
): Promise<T | undefined> {
  try {
    return await attempt();
  } catch (error) {
    if (signal?.aborted === true) throw error;
    return undefined;
  }
}
