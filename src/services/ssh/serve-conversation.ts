import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { LimitRefusal } from '#base/limits/limit-refusal';
import type { LimitedResult } from '#domain/git-service/run-limited';
import { GitStartError } from '#domain/git-service/start-service';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import { describeExit } from '#git/command/process/exit-error';
import { withLimitError } from '#rpc/common/limit-error';
import type { HandlerContext } from '#rpc/server/handler';
import { type RequestedFetch, serveFetch } from '#services/convert/request/serve-fetch';
import type { SshDependencies } from './dependencies.ts';

/** Failure of a conversation; `exitStatus` is the exit code of a client of git over SSH. */
export class ConversationError extends Error {
  override readonly name = 'ConversationError';
  readonly exitStatus: number | undefined;
  readonly error: GitalyError;

  constructor(error: GitalyError, exitStatus?: number) {
    super(error.message, { cause: error });
    this.error = error;
    this.exitStatus = exitStatus;
  }
}

/** Message of git after its client has disconnected; an operator can do nothing about it. */
const HUNG_UP = 'fatal: the remote end hung up unexpectedly\n';

/** Serves a conversation. @throws {ConversationError} */
export async function serveConversation(
  fetch: Omit<RequestedFetch, 'isStateless'>,
  context: HandlerContext,
  deps: SshDependencies,
): Promise<NegotiationStatistics> {
  const options = { isStateless: false, negotiationTimeoutMs: deps.uploadPackTimeoutMs };
  const served = serveFetch({ ...fetch, ...options }, context, deps);
  const result = await served.catch((error: unknown) => {
    throw withPrefix('running upload-pack', failedConversation(error));
  });
  if (result.exit.code !== 0) throw withPrefix('running upload-pack', refusedConversation(result));
  return result.statistics;
}

/** Converts an error that occurred before git's response, or while it was sent to the client. */
export function failedConversation(error: unknown): ConversationError {
  if (error instanceof GitStartError)
    return new ConversationError(wrap(error.cause, 'starting command', 'INTERNAL'));
  if (error instanceof LimitRefusal)
    return new ConversationError(wrap(withLimitError(error), 'cmd wait', 'INTERNAL'));
  return new ConversationError(
    new GitalyError('INTERNAL', `cmd wait: ${messageOf(error)}`, { cause: error }),
  );
}

/** Converts git's exit. */
export function refusedConversation({ exit, stderr, isTooSlow }: LimitedResult): ConversationError {
  if (isTooSlow)
    return new ConversationError(
      new GitalyError('DEADLINE_EXCEEDED', 'waiting for negotiation: context canceled'),
    );
  if (stderr === HUNG_UP)
    return new ConversationError(new GitalyError('CANCELLED', 'user canceled the request'));
  const message = `cmd wait: ${describeExit(exit)}, stderr: ${quote(stderr)}`;
  return new ConversationError(new GitalyError('INTERNAL', message), exit.code);
}

/** Returns the same failure with a prefix in its message. */
export function withPrefix(prefix: string, failure: ConversationError): ConversationError {
  return new ConversationError(wrap(failure.error, prefix), failure.exitStatus);
}
