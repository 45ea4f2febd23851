import { GIT_PROTOCOL_ERROR } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';

/**
 * git's messages about mistakes of a client. They repeat the client's input and contain no path. A
 * response-end packet in a request of protocol v2 is a `BUG` for git, and aborts it.
 */
const CLIENTS_MISTAKE =
  /^(?:fatal|BUG: serve\.c:\d+): ((?:mismatched object format|(?:error: )?un(?:known|supported) object format|unknown capability|invalid command|no command requested|unexpected line|expected flush|invalid filter-spec|(?:git [a-z-]+: )?protocol error|unexpected response end packet)[^\n]*)$/m;
const MAX_CHARS = 300;
const MAX_STDERR_CHARS = 10_000;

/**
 * Sends what git printed about a mistake of the client in a trailer, for a gateway: the text of the
 * error is Gitaly's, which has only the exit code.
 */
export function noteProtocolError(context: HandlerContext, stderr: string): void {
  const sentence = CLIENTS_MISTAKE.exec(stderr.slice(0, MAX_STDERR_CHARS))?.[1];
  if (sentence === undefined) return;
  context.trailers.set(GIT_PROTOCOL_ERROR, sentence.slice(0, MAX_CHARS).replace(/[^ -~]/g, '?'));
}
