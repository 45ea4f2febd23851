import { runningCall } from '../running-call.ts';
import type { Tracing } from './tracing.ts';

/** Commands whose processes serve several calls, one after the other. */
const SHARED = new Set(['cat-file', 'diff-tree', 'update-ref']);

/**
 * Returns a function that gives the variables of a command that is started for the running call:
 * `CORRELATION_ID`, by which an operator finds the call of a process, and those of its trace.
 * Processes that calls share, and those of background jobs, get none.
 */
export function callVariables(tracing: Tracing | undefined): (subcommand: string) => Record<string, string> {
  return (subcommand) => {
    const call = SHARED.has(subcommand) ? undefined : runningCall();
    return call === undefined
      ? {}
      : { CORRELATION_ID: call.context.correlationId, ...tracing?.environment(call) };
  };
}

/** Returns the variables of the running call's trace. */
export function traceVariables(tracing: Tracing | undefined): Readonly<Record<string, string>> {
  const call = runningCall();
  return (call && tracing?.environment(call)) ?? {};
}
