import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { LimitRefusal } from '#base/keyed-limit';
import { countWrites } from '#base/streams/count-writes';
import type { LimitedResult } from '#domain/git-service/run-limited';
import type { ServiceStreams } from '#domain/git-service/service-streams';
import { GitStartError } from '#domain/git-service/start-service';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import { uploadPack } from '#domain/upload-pack/upload-pack';
import type { ConfigPair } from '#git/command/config';
import { describeExit } from '#git/command/exit-error';
import type { HandlerContext } from '#rpc/server/handler';
import { noteClone, offeredBundles } from '#services/convert/request/bundle-uri';
import { packRequesterOf } from '#services/convert/request/pack-requester';
import { withLimitError } from '#services/convert/response/limit-refusal';
import { reportNegotiation } from '#services/convert/response/negotiation-statistics';
import type { Repository } from '#storage/repository';
import type { SshDependencies } from './dependencies.ts';

export interface SshFetch {
  readonly repository: Repository;
  readonly config: readonly ConfigPair[];
  readonly gitProtocol: string;
  readonly streams: ServiceStreams;
  readonly signal: AbortSignal;
}

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

/** @throws {ConversationError} */
export async function runUploadPack(
  fetch: SshFetch,
  context: HandlerContext,
  deps: SshDependencies,
): Promise<NegotiationStatistics> {
  const { capabilities, uploadPackTimeoutMs: negotiationTimeoutMs } = deps;
  // Not awaited: the fetch does not depend on it.
  void deps.checkBitmaps?.(fetch.repository, context);
  const bundles = await offeredBundles(fetch, context, deps);
  const requester = packRequesterOf(context);
  const { fetchAnswers: answers, packs } = deps;
  const responseBytes = countWrites(fetch.streams.stdout);
  const options = { bundles, isStateless: false, capabilities, answers, negotiationTimeoutMs, packs };
  const result = await uploadPack({ ...fetch, ...options, requester }).catch((error: unknown) => {
    throw withPrefix('running upload-pack', failedConversation(error));
  });
  reportNegotiation(result, context.log, deps.observeNegotiation);
  if (result.exit.code !== 0) throw withPrefix('running upload-pack', refusedConversation(result));
  noteClone(fetch.repository, result.statistics, context, deps);
  deps.logDetails?.({ response_bytes: responseBytes() }, context);
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
