import { GitalyError, invalidArgument, type StatusCode, wrap } from '#base/gitaly-error';
import type { ReferenceTransactionState } from '#domain/hooks/reference-transaction';
import { isVoteOutcome, TransactionAbortedError, TransactionStoppedError } from '#domain/transactions/voter';
import type { HandlerContext } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import {
  type ReferenceTransactionHookRequest,
  ReferenceTransactionHookRequest_State as State,
} from '#wire/gen/hook_pb';
import type { HookDependencies } from './dependencies.ts';
import { type HookResponse, payloadOf, readInput } from './hook-call.ts';

const STATES: ReadonlyMap<State, ReferenceTransactionState> = new Map([
  [State.PREPARING, 'preparing'],
  [State.PREPARED, 'prepared'],
  [State.COMMITTED, 'committed'],
  [State.ABORTED, 'aborted'],
]);

/** Votes on changes of references that git is about to make or has made. */
export async function* referenceTransactionHook(
  requests: AsyncIterable<ReferenceTransactionHookRequest>,
  context: HandlerContext,
  deps: HookDependencies,
): AsyncGenerator<HookResponse> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'receiving first request: EOF');
  deps.storages.open(first.repository);
  const state = STATES.get(first.state);
  if (state === undefined) throw invalidArgument('invalid hook state');

  try {
    const payload = payloadOf(first);
    await deps.hooks.referenceTransaction({ payload, signal: context.signal }, state, await readInput(rest));
  } catch (error) {
    throw wrap(error, 'reference-transaction hook', codeFor(error));
  }
  yield { exitStatus: { value: 0 } };
}

function codeFor(error: unknown): StatusCode {
  if (isVoteOutcome(error, TransactionAbortedError)) return 'ABORTED';
  return isVoteOutcome(error, TransactionStoppedError) ? 'FAILED_PRECONDITION' : 'INTERNAL';
}
