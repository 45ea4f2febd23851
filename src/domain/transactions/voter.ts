import { limitedSignal } from '#base/async/limited-signal';
import { GitalyError } from '#base/gitaly-error';
import { isError } from '#base/is-error';
import type { Vote, VotePhase } from '#storage/lifecycle/voter';
import type { EnterOrder, NamedReferences } from './named-references.ts';
import type { Transaction } from './transaction.ts';

/** Outcome of a vote: make the change, undo it, or stop (another participant refused it). */
export type VoteOutcome = 'commit' | 'abort' | 'stop';

/** Client for votes at the other end of a reverse channel. */
export interface VotingClient {
  /** Resolves when all votes of the phase have arrived; `undefined` for an unknown response. */
  vote(request: VoteRequest, options: { signal: AbortSignal }): Promise<VoteOutcome | undefined>;
  /** Reports that the change will not happen. */
  stop(transactionId: bigint, options: { signal: AbortSignal }): Promise<void>;
}

export interface VoteRequest {
  readonly transactionId: bigint;
  readonly node: string;
  /** SHA-1, 20 bytes. */
  readonly hash: Uint8Array;
  readonly phase: VotePhase;
  /** References that are about to be locked. */
  readonly references?: NamedReferences;
}

export interface VoteOptions {
  readonly signal: AbortSignal;
  /** References that are about to be locked. They are part of the first vote. */
  readonly references?: NamedReferences;
}

export interface VoterOptions {
  /**
   * Returns the client for the reverse channel of a connection. @throws {Error} `no backchannel for
   * peer <id>`
   */
  readonly connect: (backchannelId: number, hasStream: boolean) => VotingClient;
  /**
   * Time between a vote and its outcome, in seconds
   * (`gitaly_hook_transaction_voting_delay_seconds`).
   */
  readonly observeDelay?: ((seconds: number) => void) | undefined;
}

/** Error of a lost vote, or of a vote that was not complete in time. */
export class TransactionAbortedError extends Error {
  override readonly name = 'TransactionAbortedError';

  constructor() {
    super('transaction was aborted');
  }
}

/** Error of a transaction that was stopped because the change was refused. */
export class TransactionStoppedError extends Error {
  override readonly name = 'TransactionStoppedError';

  constructor() {
    super('transaction was stopped');
  }
}

/**
 * Long, because a vote waits for the slowest node, which may be running access checks and custom
 * hooks.
 */
const VOTE_TIMEOUT_MS = 5 * 60 * 1000;

/** Hash of the last vote of a push, in which nothing was hashed. */
export const ZERO_VOTE = new Uint8Array(20);

/** A `preparing` with this hash is not a vote. */
const NO_VOTE = new Uint8Array();

/** Takes part in the votes of a cluster. */
export class Voter {
  readonly #options: VoterOptions;

  constructor(options: VoterOptions) {
    this.#options = options;
  }

  /**
   * Casts one vote. Resolves when the change may proceed.
   *
   * @throws {TransactionAbortedError} {TransactionStoppedError}, and errors of the request.
   */
  async vote(
    transaction: Transaction,
    phase: VotePhase,
    hash: Uint8Array,
    options: VoteOptions,
  ): Promise<void> {
    const client = this.#connect(transaction);
    const start = performance.now();
    using limited = limitedSignal(VOTE_TIMEOUT_MS, options.signal);
    const { references } = options;
    const request = {
      ...{ transactionId: transaction.id, node: transaction.node, hash, phase },
      ...(references !== undefined && { references }),
    };
    let outcome: VoteOutcome | undefined;
    try {
      outcome = await client.vote(request, limited);
    } catch (error) {
      if (!limited.signal.aborted || options.signal.aborted) throw error;
      throw new GitalyError('CANCELLED', 'transaction timeout 5m0s exceeded: context canceled', {
        cause: error,
      });
    } finally {
      this.#options.observeDelay?.((performance.now() - start) / 1000);
    }
    if (outcome === 'abort') throw new TransactionAbortedError();
    if (outcome === 'stop') throw new TransactionStoppedError();
    if (outcome === undefined) throw new Error('invalid transaction state');
  }

  /** Informs the other nodes that the change was refused here. */
  async stop(transaction: Transaction, options: { signal: AbortSignal }): Promise<void> {
    await this.#connect(transaction).stop(transaction.id, options);
  }

  /**
   * Returns the votes of one call, for modules that do not depend on transactions; `undefined` when
   * there is nothing to vote on.
   */
  voteOf(transaction: Transaction | undefined, options: { signal: AbortSignal }): Vote | undefined {
    return transaction && ((phase, hash) => this.vote(transaction, phase, hash, options));
  }

  /**
   * Returns a function that waits until references may be locked, in the order of the writes to
   * them; `undefined` when the cluster does not request that. It casts no vote.
   */
  orderOf(transaction: Transaction | undefined, { signal }: { signal: AbortSignal }): EnterOrder | undefined {
    if (transaction === undefined) return undefined;
    const enter: EnterOrder = (references) =>
      this.vote(transaction, 'preparing', NO_VOTE, { signal, ...(references && { references }) });
    if (transaction.isOrdered === true) return enter;
    if (transaction.isEntered !== true) return undefined;
    return async (references) => {
      if (references === undefined) await enter(references);
    };
  }

  #connect(transaction: Transaction): VotingClient {
    try {
      return this.#options.connect(transaction.backchannelId, transaction.hasVoteStream === true);
    } catch (error) {
      throw new Error(`get backchannel: ${isError(error) ? error.message : error}`, { cause: error });
    }
  }
}

/** Reports whether an error, or an error that caused it, is the outcome of a vote of this kind. */
export function isVoteOutcome(
  error: unknown,
  kind: typeof TransactionAbortedError | typeof TransactionStoppedError,
): boolean {
  for (let current = error; isError(current); current = current.cause)
    if (current instanceof kind) return true;
  return false;
}
