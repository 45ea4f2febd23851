import { GitalyError, invalidArgument, messageOf } from '#base/gitaly-error';
import type { LogFields } from '#platform/log/field-list';
import type { Vote as StreamedVote } from '#wire/gen/gitalyts/votes/v1/votes_pb';
import {
  VoteTransactionRequest_Phase as Phase,
  VoteTransactionResponse_TransactionState as State,
  type VoteTransactionRequest,
} from '#wire/gen/transaction_pb';
import type { LockedReferences } from '../transactions/conflict-queue.ts';
import type { VotePhase } from '../transactions/serialized-writes.ts';
import { TransactionError, UnknownTransactionError } from '../transactions/transaction-error.ts';
import type { Transactions } from '../transactions/transactions.ts';

const PHASES: ReadonlyMap<Phase, VotePhase> = new Map([
  [Phase.PREPARING_PHASE, 'preparing'],
  [Phase.PREPARED_PHASE, 'prepared'],
  [Phase.COMMITTED_PHASE, 'committed'],
  [Phase.SYNCHRONIZED_PHASE, 'synchronized'],
]);
const phaseOf = (phase: Phase): VotePhase => PHASES.get(phase) ?? 'unknown';

/** Bytes of a SHA-1. */
const HASH_BYTES = 20;

/** Limit of the names of references in a vote. A write with more locks all references. */
const MAX_NAMES = 8;

/** A vote, from a call or from a stream. */
type VoteToCast = Pick<VoteTransactionRequest, 'node' | 'phase' | 'referenceUpdatesHash' | 'transactionId'> &
  Partial<Pick<StreamedVote, 'checksLocks' | 'references'>>;

export interface VotingCall {
  /** Withdraws the vote. */
  readonly signal: AbortSignal;
  /** Fields of lines about the vote. */
  readonly callFields: LogFields;
}

/**
 * Casts a vote, or waits for the order of the writes if it has no hash.
 *
 * @returns the outcome for the node. @throws {GitalyError} for a vote that has none.
 */
export async function castVote(
  transactions: Transactions,
  { checksLocks, node, phase, referenceUpdatesHash, references, transactionId }: VoteToCast,
  { callFields, signal }: VotingCall,
): Promise<State> {
  const locks = { node, references: namesOf(references), checksLocks: checksLocks === true };
  if (phase === Phase.PREPARING_PHASE && referenceUpdatesHash.length === 0) {
    await transactions.enter(transactionId, locks, signal).catch((error: unknown) => {
      throw withStatus(error);
    });
    return State.COMMIT;
  }
  if (referenceUpdatesHash.length !== HASH_BYTES) {
    const text = `invalid vote length ${referenceUpdatesHash.length}, wanted ${HASH_BYTES}`;
    throw invalidArgument(`invalid reference update hash: ${text}`);
  }
  const hash = Buffer.from(referenceUpdatesHash).toString('hex');
  try {
    await transactions.vote(transactionId, { ...locks, hash, phase: phaseOf(phase), signal, callFields });
    return State.COMMIT;
  } catch (error) {
    return stateAfter(error);
  }
}

/** Returns the references that a node names; `undefined` if it may lock all. */
function namesOf(references: readonly Uint8Array[] = []): LockedReferences {
  if (references.length === 0 || references.length > MAX_NAMES) return undefined;
  return references.map((name) => Buffer.from(name).toString('latin1'));
}

/** Ends a transaction because a node refuses the change. @throws {GitalyError} if it is unknown. */
export function stopTransaction(transactions: Transactions, id: bigint): void {
  try {
    transactions.stop(id);
  } catch (error) {
    throw withStatus(error);
  }
}

/** @throws {GitalyError} for a vote that has no result. */
function stateAfter(error: unknown): State {
  if (error instanceof TransactionError && error.end === 'failed') return State.ABORT;
  if (error instanceof TransactionError && error.end === 'stopped') return State.STOP;
  throw withStatus(error);
}

function withStatus(error: unknown): GitalyError {
  if (error instanceof GitalyError) return error; // the caller has gone
  if (error instanceof UnknownTransactionError)
    return new GitalyError('NOT_FOUND', error.message, { cause: error });
  const code = error instanceof TransactionError && error.end === 'canceled' ? 'CANCELLED' : 'INTERNAL';
  return new GitalyError(code, messageOf(error), { cause: error });
}
