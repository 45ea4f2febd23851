import { messageOf } from '#base/gitaly-error';
import type { LogFields } from '#platform/log/field-list';
import type { Logger } from '#platform/log/logger';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { LockedReferences } from './conflict-queue.ts';
import type { OrderStart, SerializedWrites, VotePhase } from './serialized-writes.ts';
import { Transaction } from './transaction.ts';
import { TransactionError, UnknownTransactionError } from './transaction-error.ts';
import type { VotingPlan } from './voters.ts';

/** Label `action` of `gitaly_praefect_transactions_total`. */
export type TransactionAction =
  | 'registered'
  | 'started'
  | 'committed'
  | 'failed'
  | 'canceled'
  | 'stopped'
  | 'invalid';

export interface TransactionObserver {
  counted(action: TransactionAction, number?: number): void;
  /** Called for each vote, with the time to its decision. */
  voted(seconds: number): void;
  /** Called at the end of a transaction. */
  finished(subtransactions: number): void;
}

/** How a transaction waits for others. */
export interface Serialized {
  readonly repository: RepositoryKey;
  readonly writes: SerializedWrites;
  readonly start: OrderStart;
  /** The storage of the primary. */
  readonly primary: string;
  /** Set if the write has locked references before it was sent to the nodes. */
  readonly entered?: EnteredWrite | undefined;
}

/** A write that has locked references before it was sent to the nodes. */
export interface EnteredWrite {
  /** Locks all references for a node that locks others. @throws when the signal is aborted. */
  widen(signal: AbortSignal): Promise<void>;
}

/** The locks that a node is about to take. */
export interface NodeLocks {
  readonly node: string;
  /** The references that it is about to lock. */
  readonly references?: LockedReferences;
  /** Reports that the node waits by itself before it locks more than its request names. */
  readonly checksLocks?: boolean;
}

export interface ReceivedVote extends NodeLocks {
  /** Hexadecimal. */
  readonly hash: string;
  readonly phase: VotePhase;
  readonly signal: AbortSignal;
  /** Fields of the lines about it: those of the node's call. */
  readonly callFields?: LogFields;
}

/** Fields of lines that belong to no call. */
const MANAGER: LogFields = { component: 'transactions.Manager' };

/**
 * Number of the bits of an id that count the transactions of a process. The bits above are the
 * number of the process.
 */
const COUNT_BITS = 40n;

/**
 * The running transactions of a process. A node votes on the connection on which the process has
 * called it, so the process that has registered a transaction gets its votes. Ids count from 1;
 * those of further processes are larger, so that no id names two transactions of a Praefect.
 */
export class Transactions {
  readonly #log: Logger;
  readonly #observer: TransactionObserver;
  readonly #running = new Map<bigint, Transaction>();
  /** The transactions that wait for others. */
  readonly #serialized = new Map<bigint, Serialized>();
  /** Nodes that check locks, by the virtual storage. */
  readonly #checking = new Map<string, Set<string>>();
  #lastId: bigint;

  /** @param worker number of the process, 0 for the first one. */
  constructor(log: Logger, observer: TransactionObserver, worker = 0) {
    this.#log = log;
    this.#observer = observer;
    this.#lastId = BigInt(worker) << COUNT_BITS;
  }

  /**
   * Starts a transaction. The caller ends it with {@link finish}.
   *
   * @param serialized set if the write waits for other such writes to its repository.
   */
  register({ voters, threshold }: VotingPlan, serialized?: Serialized): Transaction {
    this.#lastId += 1n;
    const transaction = new Transaction(this.#lastId, voters, threshold);
    this.#running.set(transaction.id, transaction);
    if (serialized !== undefined) this.#serialized.set(transaction.id, serialized);
    this.#observer.counted('registered', voters.length);
    return transaction;
  }

  /**
   * Ends a transaction: nodes that are still undecided are cancelled.
   *
   * @param callFields fields of the line about it: those of the client's call.
   */
  finish(transaction: Transaction, callFields: LogFields = MANAGER): void {
    this.#running.delete(transaction.id);
    this.#release(transaction.id);
    transaction.end('canceled');
    this.#observer.finished(transaction.subtransactions);
    const states = [...transaction.states.values()];
    const committed = states.filter((state) => state === 'committed').length;
    this.#log.info(
      {
        ...callFields,
        'transaction.id': Number(transaction.id),
        'transaction.committed': `${committed}/${states.length}`,
        'transaction.subtransactions': transaction.subtransactions,
      },
      'transaction completed',
    );
  }

  /**
   * Casts a node's next vote and waits for the decision. Returns if the node may commit.
   *
   * @throws {UnknownTransactionError} and as {@link Transaction.vote}.
   */
  async vote(id: bigint, cast: ReceivedVote): Promise<void> {
    const { callFields = MANAGER, hash, node, phase, signal } = cast;
    const startedAt = performance.now();
    this.#observer.counted('started');
    const fields = {
      ...callFields,
      'transaction.id': Number(id),
      'transaction.voter': node,
      'transaction.hash': hash,
      'transaction.phase': phaseName(phase),
    };
    try {
      const transaction = this.#find(id);
      const vote = (): Promise<void> => transaction.vote(node, hash, signal, phase);
      await this.#inOrder(transaction, cast, vote);
    } catch (error) {
      const end = error instanceof TransactionError ? error.end : 'invalid';
      this.#observer.counted(end);
      if (end !== 'stopped') this.#log.error({ ...fields, error: messageOf(error) }, FAILURES[end]);
      throw error;
    } finally {
      this.#observer.voted((performance.now() - startedAt) / 1000);
    }
    this.#observer.counted('committed');
    this.#log.info(fields, 'VoteTransaction: transaction committed');
  }

  /**
   * Waits until the nodes of a transaction may lock references. No vote is cast.
   *
   * @throws {UnknownTransactionError} when it is unknown; an error when too many others wait.
   */
  async enter(id: bigint, locks: NodeLocks, signal: AbortSignal): Promise<void> {
    this.#find(id);
    const serialized = this.#serialized.get(id);
    if (serialized === undefined) return;
    this.#note(serialized, locks);
    const { entered, repository, writes } = serialized;
    if (entered !== undefined) return await entered.widen(signal);
    await writes.enter({ id, repository, references: locks.references }, signal);
  }

  /**
   * Reports whether all these nodes wait by themselves before they lock more than a request names,
   * as far as their votes have shown.
   */
  checkLocks(virtualStorage: string, nodes: readonly string[]): boolean {
    const checking = this.#checking.get(virtualStorage);
    return nodes.every((node) => checking?.has(node));
  }

  #note({ repository: { virtualStorage } }: Serialized, { checksLocks, node }: NodeLocks): void {
    let checking = this.#checking.get(virtualStorage);
    if (checking === undefined) {
      checking = new Set();
      this.#checking.set(virtualStorage, checking);
    }
    if (checksLocks === true) checking.add(node);
    else checking.delete(node);
  }

  async #inOrder(transaction: Transaction, cast: ReceivedVote, vote: () => Promise<void>): Promise<void> {
    const { id } = transaction;
    const { node, phase, references, signal } = cast;
    const serialized = this.#serialized.get(id);
    if (serialized === undefined) return await vote();
    this.#note(serialized, cast);
    const { entered, primary, repository, start, writes } = serialized;
    if (entered !== undefined) return await vote();
    const ordered = { id, repository, references };
    if (start === 'preparing') return await writes.vote(ordered, phase, signal, vote);
    const isFirstOfPrimary = node === primary && !transaction.hasVoted(node);
    await writes.votePush(ordered, { isFirstOfPrimary, phase }, signal, vote);
  }

  /** @throws {UnknownTransactionError} */
  stop(id: bigint): void {
    const transaction = this.#find(id);
    this.#release(id);
    transaction.end('stopped');
    this.#observer.counted('stopped');
  }

  #release(id: bigint): void {
    const serialized = this.#serialized.get(id);
    this.#serialized.delete(id);
    void serialized?.writes.release(id);
  }

  #find(id: bigint): Transaction {
    const transaction = this.#running.get(id);
    if (transaction === undefined) throw new UnknownTransactionError(id);
    return transaction;
  }
}

/** Returns Go's name of a phase, for the log. */
function phaseName(phase: VotePhase): string {
  return `${phase.toUpperCase()}_PHASE`;
}

const FAILURES = {
  failed: 'VoteTransaction: did not reach quorum',
  canceled: 'VoteTransaction: transaction was canceled',
  invalid: 'VoteTransaction: failure',
} as const;
