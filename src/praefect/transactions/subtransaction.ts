import { abortable } from '#base/async/abortable';
import { quote } from '#base/go/quote';
import { invariant } from '#base/invariant';
import type { VoterState } from '../model/outcome.ts';
import { TransactionError } from './transaction-error.ts';

/** A node that takes part in a transaction. */
export interface VotingNode {
  /** The node's storage. */
  readonly node: string;
  readonly weight: number;
}

interface NodeVote extends VotingNode {
  /** The hash that was voted for, in hex. */
  vote: string | undefined;
  state: VoterState;
}

export interface SubtransactionOptions {
  readonly canceled?: ReadonlySet<string>;
  readonly isLeaderless?: boolean;
}

/**
 * One vote of all nodes of a transaction on one change. It is decided when a hash has the weight of
 * the threshold, or when no hash can reach it any more. Nodes that vote later get the result at
 * once.
 */
export class Subtransaction {
  readonly #votes: ReadonlyMap<string, NodeVote>;
  readonly #threshold: number;
  readonly #decided = Promise.withResolvers<void>();
  #isDecided = false;
  /** True if the node without which nothing is decided has gone. */
  #isLeaderless: boolean;

  /**
   * @param options.canceled nodes that were cancelled earlier and cannot vote.
   * @param options.isLeaderless see {@link continueWithout}.
   */
  constructor(
    voters: readonly VotingNode[],
    threshold: number,
    { canceled = new Set(), isLeaderless = false }: SubtransactionOptions = {},
  ) {
    this.#votes = new Map(
      voters.map((voter) => [
        voter.node,
        { ...voter, vote: undefined, state: canceled.has(voter.node) ? 'canceled' : 'undecided' },
      ]),
    );
    this.#threshold = threshold;
    const total = voters.reduce((sum, { weight }) => sum + weight, 0);
    invariant(2 * threshold > total, 'vote-weights', 'two values of a vote can win');
    this.#isLeaderless = isLeaderless;
  }

  get states(): ReadonlyMap<string, VoterState> {
    return new Map([...this.#votes].map(([node, { state }]) => [node, state]));
  }

  /** Returns the state of a node. @throws when it is no voter. */
  state(node: string): VoterState {
    return this.#voteOf(node).state;
  }

  hasVoted(node: string): boolean {
    return this.#votes.get(node)?.vote !== undefined;
  }

  /**
   * Casts the vote of a node that is undecided, and waits for the decision. Returns if the node may
   * commit.
   *
   * @param hash in hex.
   * @param withdraw withdraws the vote if the signal is aborted while it waits.
   * @throws {TransactionError} when it may not; the signal's reason when it is aborted.
   */
  async vote(node: string, hash: string, signal: AbortSignal, withdraw: () => void): Promise<void> {
    const nodeVote = this.#voteOf(node);
    if (nodeVote.vote !== undefined) throw new Error(`node already cast a vote: ${quote(node)}`);
    nodeVote.vote = hash;
    this.#count();
    await this.#wait(signal);
    if (signal.aborted) {
      withdraw();
      throw signal.reason;
    }
    const state = this.state(node);
    if (state === 'failed') throw new TransactionError('failed', { detail: this.#countText(nodeVote) });
    if (state === 'canceled' || state === 'stopped') throw new TransactionError(state);
  }

  /**
   * Withdraws a node: what it voted for loses its weight.
   *
   * @throws when the subtransaction is decided, as the node may have committed.
   */
  cancelVoter(node: string): void {
    const nodeVote = this.#voteOf(node);
    if (nodeVote.state !== 'undecided') throw unchangeable(nodeVote);
    if (this.#isDecided) throw new Error('cancel vote: subtransaction was already finished');
    this.withdraw(node);
  }

  /** Withdraws a node as {@link cancelVoter} does, unless its state is final. */
  withdraw(node: string): void {
    const nodeVote = this.#voteOf(node);
    if (nodeVote.state !== 'undecided') return;
    nodeVote.state = 'canceled';
    nodeVote.vote = undefined;
    if (!this.#isDecided) this.#count();
  }

  /**
   * Withdraws the node without which nothing is decided, after an earlier change was: the others
   * complete what they have started. When all of them have voted, the hash with the most votes
   * wins.
   */
  continueWithout(node: string): void {
    if (this.#isDecided) return;
    this.#isLeaderless = true;
    this.withdraw(node);
  }

  /** Ends the vote for all nodes that are undecided. */
  end(state: 'canceled' | 'stopped'): void {
    for (const nodeVote of this.#votes.values()) if (nodeVote.state === 'undecided') nodeVote.state = state;
    this.#decide();
  }

  /** Settles those that have voted, if the outcome is certain. */
  #count(): void {
    const { hash, weight } = this.#leader();
    const outstanding = this.#outstandingWeight();
    if (this.#isLeaderless && outstanding > 0) return;
    const isReached = this.#isLeaderless || weight >= this.#threshold;
    if (!isReached && weight + outstanding >= this.#threshold) return;
    if (isReached) this.#requireAlone(hash);
    for (const nodeVote of this.#votes.values()) {
      if (nodeVote.state !== 'undecided' || nodeVote.vote === undefined) continue;
      nodeVote.state = isReached && nodeVote.vote === hash ? 'committed' : 'failed';
    }
    this.#decide();
  }

  /** Checks that no node was allowed to commit something else. */
  #requireAlone(hash: string | undefined): void {
    for (const { state, vote } of this.#votes.values())
      invariant(state !== 'committed' || vote === hash, 'vote-weights', 'two values of a vote have won');
  }

  #leader(): { hash: string | undefined; weight: number } {
    let leader: { hash: string | undefined; weight: number } = { hash: undefined, weight: 0 };
    for (const { vote } of this.#votes.values()) {
      if (vote === undefined) continue;
      const weight = this.#weightOf(vote);
      if (weight > leader.weight) leader = { hash: vote, weight };
    }
    return leader;
  }

  #weightOf(hash: string): number {
    let sum = 0;
    for (const { vote, weight } of this.#votes.values()) if (vote === hash) sum += weight;
    return sum;
  }

  #outstandingWeight(): number {
    let sum = 0;
    for (const { vote, state, weight } of this.#votes.values())
      if (vote === undefined && state === 'undecided') sum += weight;
    return sum;
  }

  #decide(): void {
    this.#isDecided = true;
    this.#decided.resolve();
  }

  async #wait(signal: AbortSignal): Promise<void> {
    if (this.#isDecided || signal.aborted) return;
    await abortable(this.#decided.promise, signal).catch(() => {}); // the caller sees which it was
  }

  #voteOf(node: string): NodeVote {
    const nodeVote = this.#votes.get(node);
    if (nodeVote === undefined) throw new Error(`invalid node for transaction: ${quote(node)}`);
    return nodeVote;
  }

  #countText({ vote = '' }: NodeVote): string {
    return `got ${this.#weightOf(vote)}/${this.#threshold} votes for ${vote}`;
  }
}

function unchangeable({ state }: NodeVote): Error {
  const prefix = 'cancel vote: ';
  if (state === 'canceled' || state === 'stopped') return new TransactionError(state, { prefix });
  const reason = state === 'failed' ? 'voter is in invalid state 2' : `cannot change ${state} vote`;
  return new Error(prefix + reason);
}
