/**
 * One request has made more calls than the limit, probably in a loop. Developers and their tools
 * depend on the message.
 */
export class TooManyInvocationsError extends Error {
  override readonly name = 'TooManyInvocationsError';
  /** Name of the counting function. */
  readonly callSite = 'call';
  /** Number of calls of this request so far. */
  readonly invocationCount: number;
  /** Number of calls from the busiest stack. */
  readonly maxCallStack: number;

  /** Creates the error. @param stacks number of calls by call stack (one frame per line) */
  constructor(invocationCount: number, stacks: ReadonlyMap<string, number>) {
    const most = Math.max(0, ...stacks.values());
    const busiest = [...stacks].filter(([, count]) => count === most).map(([stack]) => stack);
    // Stacks are joined by a backslash and an n, as by Gitaly's Ruby client, which uses single
    // quotes.
    const where =
      busiest.length === 0
        ? ''
        : `\nThe following call site called into Gitaly ${most} times:\n${busiest.join(String.raw`\n`)}\n`;
    super(`GitalyClient#call called ${invocationCount} times from single request. Potential n+1?${where}`);
    this.invocationCount = invocationCount;
    this.maxCallStack = most;
  }
}
