import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/quote';
import type { LimitedResult } from '#domain/git-service/run-limited';
import type { ServiceStreams } from '#domain/git-service/service-streams';
import { GitStartError } from '#domain/git-service/start-service';
import type { NegotiationStatistics } from '#domain/upload-pack/negotiation';
import { uploadPack } from '#domain/upload-pack/upload-pack';
import type { ConfigPair } from '#git/command/config';
import { describeExit } from '#git/command/exit-error';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import { reportNegotiation } from '../convert/negotiation-statistics.ts';
import type { SshRooms } from './index.ts';

export interface SshFetch {
  readonly repository: Repository;
  readonly config: readonly ConfigPair[];
  readonly gitProtocol: string;
  readonly streams: ServiceStreams;
  readonly signal: AbortSignal;
}

/** How a conversation ended that did not end well; `exitStatus` is what a client of git over SSH exits with. */
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

/** What git says when its client has gone: nothing that an operator could mend. */
const HUNG_UP = 'fatal: the remote end hung up unexpectedly\n';

/** @throws {ConversationError} */
export async function runUploadPack(fetch: SshFetch, context: HandlerContext, rooms: SshRooms): Promise<NegotiationStatistics> {
  const { capabilities, uploadPackTimeoutMs: negotiationTimeoutMs } = rooms;
  const result = await uploadPack({ ...fetch, isStateless: false, capabilities, negotiationTimeoutMs }).catch(
    (error: unknown) => {
      throw withPrefix('running upload-pack', failedConversation(error));
    },
  );
  reportNegotiation(result, context.log, rooms.observeNegotiation);
  if (result.exit.code !== 0) throw withPrefix('running upload-pack', refusedConversation(result));
  return result.statistics;
}

/** What went wrong before git could say anything, or on the way to the client. */
export function failedConversation(error: unknown): ConversationError {
  if (error instanceof GitStartError) return new ConversationError(wrap(error.cause, 'starting command', 'INTERNAL'));
  return new ConversationError(new GitalyError('INTERNAL', `cmd wait: ${messageOf(error)}`, { cause: error }));
}

/** What git's exit means. */
export function refusedConversation({ exit, stderr, isTooSlow }: LimitedResult): ConversationError {
  if (isTooSlow) return new ConversationError(new GitalyError('DEADLINE_EXCEEDED', 'waiting for negotiation: context canceled'));
  if (stderr === HUNG_UP) return new ConversationError(new GitalyError('CANCELLED', 'user canceled the request'));
  const message = `cmd wait: ${describeExit(exit)}, stderr: ${quote(stderr)}`;
  return new ConversationError(new GitalyError('INTERNAL', message), exit.code);
}

/** The same failure with words before it. */
export function withPrefix(prefix: string, failure: ConversationError): ConversationError {
  return new ConversationError(wrap(failure.error, prefix), failure.exitStatus);
}
