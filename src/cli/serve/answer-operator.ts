import { answerCalls, type ServerCalls } from '#calls/family-calls';
import { operatorLink } from '#workers/operator-link';

type OpenConsole<Server> = (server: Server) => Promise<AsyncDisposable>;

/**
 * Returns a function that lets a server respond to the program that has started it, such as `up
 * --cluster`, and opens its console. Returns `open` if no program asks.
 */
export function withOperator<Server>(
  open: OpenConsole<Server> | undefined,
  callsOf: (server: Server) => ServerCalls,
): OpenConsole<Server> | undefined {
  const link = operatorLink();
  if (link === undefined) return open;
  return async (server) => {
    answerCalls(link, callsOf(server));
    return (await open?.(server)) ?? new AsyncDisposableStack();
  };
}
