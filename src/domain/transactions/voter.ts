import { createHash } from 'node:crypto';
import { GitalyError } from '#base/gitaly-error';
import type { Vote, VotePhase } from '#storage/voter';
import type { Transaction } from './transaction.ts';

/** What whoever counts the votes says to one: go on, undo the change, or leave it be (somebody refused it). */
export type VoteOutcome = 'commit' | 'abort' | 'stop';

/** The far end of a reverse channel, as far as votes go. */
export interface VotingClient {
  /** Resolves when all votes of the phase are in; `undefined` for an answer that we do not know. */
  vote(ballot: Ballot, options: { signal: AbortSignal }): Promise<VoteOutcome | undefined>;
  /** Says that the change will not happen. */
  stop(transactionId: bigint, options: { signal: AbortSignal }): Promise<void>;
}

export interface Ballot {
  readonly transactionId: bigint;
  readonly node: string;
  /** SHA-1, 20 bytes. */
  readonly hash: Uint8Array;
  readonly phase: VotePhase;
}

export interface VoterOptions {
  /** Finds the reverse channel of a connection. @throws {Error} `no backchannel for peer <id>` */
  readonly connect: (backchannelId: number) => VotingClient;
  /** Time between a vote and its outcome, in seconds (`gitaly_hook_transaction_voting_delay_seconds`). */
  readonly observeDelay?: ((seconds: number) => void) | undefined;
}

/** The vote was lost, or did not come together in time. */
export class TransactionAbortedError extends Error {
  override readonly name = 'TransactionAbortedError';

  constructor() {
    super('transaction was aborted');
  }
}

/** Somebody ended the transaction because the change was refused. */
export class TransactionStoppedError extends Error {
  override readonly name = 'TransactionStoppedError';

  constructor() {
    super('transaction was stopped');
  }
}

/** Long, since a vote waits for the slowest node, and that one may be running access checks and custom hooks. */
const VOTE_TIMEOUT_MS = 5 * 60 * 1000;

/** What the last vote of a push carries: nothing was hashed. */
export const ZERO_VOTE = new Uint8Array(20);

/** Takes part in the votes of a cluster. */
export class Voter {
  readonly #options: VoterOptions;

  constructor(options: VoterOptions) {
    this.#options = options;
  }

  /**
   * Casts one vote. Resolves when the change may go on.
   *
   * @throws {TransactionAbortedError} {TransactionStoppedError}, and whatever went wrong with asking.
   */
  async vote(transaction: Transaction, phase: VotePhase, hash: Uint8Array, options: { signal: AbortSignal }): Promise<void> {
    const client = this.#connect(transaction);
    const start = performance.now();
    const timeout = AbortSignal.timeout(VOTE_TIMEOUT_MS);
    const ballot = { transactionId: transaction.id, node: transaction.node, hash, phase };
    let outcome: VoteOutcome | undefined;
    try {
      outcome = await client.vote(ballot, { signal: AbortSignal.any([options.signal, timeout]) });
    } catch (error) {
      if (!timeout.aborted || options.signal.aborted) throw error;
      throw new GitalyError('CANCELLED', 'transaction timeout 5m0s exceeded: context canceled', { cause: error });
    } finally {
      this.#options.observeDelay?.((performance.now() - start) / 1000);
    }
    if (outcome === 'abort') throw new TransactionAbortedError();
    if (outcome === 'stop') throw new TransactionStoppedError();
    if (outcome === undefined) throw new Error('invalid transaction state');
  }

  /** Tells the others that the change was refused here. */
  async stop(transaction: Transaction, options: { signal: AbortSignal }): Promise<void> {
    await this.#connect(transaction).stop(transaction.id, options);
  }

  /** The votes of one call, for rooms that know nothing about transactions; `undefined` when there is nothing to vote on. */
  voteOf(transaction: Transaction | undefined, options: { signal: AbortSignal }): Vote | undefined {
    return transaction && ((phase, hash) => this.vote(transaction, phase, hash, options));
  }

  #connect(transaction: Transaction): VotingClient {
    try {
      return this.#options.connect(transaction.backchannelId);
    } catch (error) {
      throw new Error(`get backchannel: ${error instanceof Error ? error.message : error}`, { cause: error });
    }
  }
}

/** The hash of a vote: always SHA-1, whatever the repository uses. */
export function voteHash(data: string | Uint8Array): Buffer {
  return createHash('sha1').update(data).digest();
}

/** Whether an error, or what caused it, is the outcome of a vote of this kind. */
export function isVoteOutcome(error: unknown, kind: typeof TransactionAbortedError | typeof TransactionStoppedError): boolean {
  for (let current = error; current instanceof Error; current = current.cause) if (current instanceof kind) return true;
  return false;
}
