/** One request has called Gitaly so often that it looks like a loop. The message is a contract with developers and their tools. */
export class TooManyInvocationsError extends Error {
  override readonly name = 'TooManyInvocationsError';
  /** The function that counted. */
  readonly callSite = 'call';
  /** Calls of this request so far. */
  readonly invocationCount: number;
  /** Calls from the busiest stack. */
  readonly maxCallStack: number;

  /** @param stacks call stack (frames on lines of their own) → calls from it */
  constructor(invocationCount: number, stacks: ReadonlyMap<string, number>) {
    const most = Math.max(0, ...stacks.values());
    const busiest = [...stacks].filter(([, count]) => count === most).map(([stack]) => stack);
    // Stacks are joined by a backslash and an n: Gitaly's Ruby client has them in single quotes.
    const where =
      busiest.length === 0
        ? ''
        : `\nThe following call site called into Gitaly ${most} times:\n${busiest.join(String.raw`\n`)}\n`;
    super(`GitalyClient#call called ${invocationCount} times from single request. Potential n+1?${where}`);
    this.invocationCount = invocationCount;
    this.maxCallStack = most;
  }
}
