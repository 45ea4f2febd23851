import { GitalyError, invalidArgument, messageOf, type StatusCode, wrap } from '#base/gitaly-error';
import { isRateLimited } from '#domain/gitlab-api/internal-api';
import type { ReferenceTransactionState } from '#domain/hooks/reference-transaction';
import { customHookErrorOf } from '#domain/hooks/run-custom-hooks';
import { isVoteOutcome, TransactionAbortedError, TransactionStoppedError } from '#domain/transactions/voter';
import { openRequests } from '#services/convert/request/first-request';
import { streamResponses } from '#services/convert/response/stream-responses';
import { ReferenceTransactionHookRequest_State as State } from '#wire/gen/hook_pb';
import type { Handlers } from './dependencies.ts';
import { type HookResponse, hookCallOf, payloadOf, readInput, respondFailure } from './hook-call.ts';

const STATES: ReadonlyMap<State, ReferenceTransactionState> = new Map([
  [State.PREPARING, 'preparing'],
  [State.PREPARED, 'prepared'],
  [State.COMMITTED, 'committed'],
  [State.ABORTED, 'aborted'],
]);

/**
 * Decides on the changes of references of a push. A refusal is an exit status; only a rate limit of
 * the API is an error of the call.
 */
export const preReceiveHook: Handlers['preReceiveHook'] = async function* (requests, context, deps) {
  const { first: request, rest } = await openRequests(requests, 'receiving first request: EOF');
  const repository = deps.storages.open(request.repository);

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    try {
      await deps.hooks.preReceive(
        hookCallOf({ repository, request, respond, signal }, context),
        await readInput(rest),
      );
    } catch (error) {
      if (isRateLimited(error))
        throw new GitalyError('RESOURCE_EXHAUSTED', messageOf(error), { cause: error });
      return await respondFailure(error, respond);
    }
    await respond({ exitStatus: { value: 0 } });
  });
};

/**
 * Decides on the change of one reference. A script's refusal is its exit status; anything else is
 * an error of the call.
 */
export const updateHook: Handlers['updateHook'] = async function* (request, context, deps) {
  const repository = deps.storages.open(request.repository);
  const { ref, oldValue, newValue } = request;

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    let status = 0;
    try {
      const call = hookCallOf({ repository, request, respond, signal }, context);
      await deps.hooks.update(call, { reference: Buffer.from(ref), oldValue, newValue });
    } catch (error) {
      const script = customHookErrorOf(error);
      if (script === undefined) throw error;
      status = script.exitCode;
    }
    await respond({ exitStatus: { value: status } });
  });
};

/** Handles the changes of references that a push has made. */
export const postReceiveHook: Handlers['postReceiveHook'] = async function* (requests, context, deps) {
  const { first: request, rest } = await openRequests(requests);
  const repository = deps.storages.open(request.repository);

  yield* streamResponses<HookResponse>(context.signal, async (respond, signal) => {
    try {
      await deps.hooks.postReceive(
        hookCallOf({ repository, request, respond, signal }, context),
        await readInput(rest),
      );
    } catch (error) {
      return await respondFailure(error, respond);
    }
    await respond({ exitStatus: { value: 0 } });
  });
};

/** Votes on changes of references that git is about to make or has made. */
export const referenceTransactionHook: Handlers['referenceTransactionHook'] = async function* (
  requests,
  context,
  deps,
) {
  const { first, rest } = await openRequests(requests, 'receiving first request: EOF');
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
};

function codeFor(error: unknown): StatusCode {
  if (isVoteOutcome(error, TransactionAbortedError)) return 'ABORTED';
  return isVoteOutcome(error, TransactionStoppedError) ? 'FAILED_PRECONDITION' : 'INTERNAL';
}
