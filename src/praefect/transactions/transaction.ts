import type { VoterState } from '../model/outcome.ts';
import type { VotePhase } from './serialized-writes.ts';
import { Subtransaction, type VotingNode } from './subtransaction.ts';
import { TransactionError } from './transaction-error.ts';

/** Phases before a node locks what it changes. */
const BEFORE_CHANGES: ReadonlySet<VotePhase> = new Set(['preparing', 'synchronized']);

/**
 * The votes of the nodes of one write, in the order in which each node casts them: the n-th vote of
 * a node belongs to the n-th subtransaction.
 */
export class Transaction {
  readonly id: bigint;
  readonly #voters: readonly VotingNode[];
  readonly #threshold: number;
  readonly #subtransactions: Subtransaction[] = [];
  /** Nodes that have failed. */
  readonly #withdrawn = new Set<string>();
  #isLeaderless = false;
  #hasChangeVotes = false;
  #end: 'canceled' | 'stopped' | undefined;

  /** @throws when the voters cannot come to one decision. */
  constructor(id: bigint, voters: readonly VotingNode[], threshold: number) {
    if (voters.length === 0) throw new Error('transaction requires at least one node');
    if (new Set(voters.map(({ node }) => node)).size < voters.length)
      throw new Error('transactions cannot have duplicate nodes');
    const total = voters.reduce((sum, { weight }) => sum + weight, 0);
    if (threshold > total || 2 * threshold <= total) throw new Error('transaction has invalid threshold');
    this.id = id;
    this.#voters = voters;
    this.#threshold = threshold;
  }

  get subtransactions(): number {
    return this.#subtransactions.length;
  }

  /** The state of each node: that of the last subtransaction, and `canceled` if it failed after it. */
  get states(): ReadonlyMap<string, VoterState> {
    const last = this.#subtransactions.at(-1);
    return new Map(
      this.#voters.map(({ node }) => {
        const state = last?.state(node) ?? this.#end ?? 'undecided';
        return [node, state !== 'failed' && this.#withdrawn.has(node) ? 'canceled' : state];
      }),
    );
  }

  /** The number of subtransactions that each node was allowed to commit. */
  get commits(): ReadonlyMap<string, number> {
    const count = (node: string): number =>
      this.#subtransactions.filter((each) => each.state(node) === 'committed').length;
    return new Map(this.#voters.map(({ node }) => [node, count(node)]));
  }

  /** Reports whether a node was allowed to commit: it may have changed something. */
  get hasCommitted(): boolean {
    return this.#voters.some(({ node }) => this.#hasCommitted(node));
  }

  /** Reports whether the primary has refused the write, or has failed after it. */
  get isStopped(): boolean {
    return this.#end === 'stopped';
  }

  /**
   * Reports whether a node has voted on a change, and not only at hooks or before locks. Without
   * such votes no node has changed anything: the vote `prepared` comes before the change.
   */
  get hasChangeVotes(): boolean {
    return this.#hasChangeVotes;
  }

  /** Reports whether a node has voted in the first subtransaction. */
  hasVoted(node: string): boolean {
    return this.#subtransactions[0]?.hasVoted(node) ?? false;
  }

  /**
   * Casts the next vote of a node and waits for the decision. Returns if the node may commit.
   *
   * @param hash in hex.
   * @throws as {@link Subtransaction.vote}.
   */
  async vote(node: string, hash: string, signal: AbortSignal, phase: VotePhase = 'unknown'): Promise<void> {
    if (this.#end !== undefined) throw new TransactionError(this.#end);
    if (this.#withdrawn.has(node)) throw new TransactionError('canceled');
    if (!BEFORE_CHANGES.has(phase)) this.#hasChangeVotes = true;
    const [next = this.#append()] = this.#pending(node);
    await next.vote(node, hash, signal, () => {
      if (!this.continueWithout(node)) next.cancelVoter(node);
    });
  }

  /**
   * Withdraws a node that has failed from this and all further subtransactions. Votes that it has
   * lost or won stay as they are.
   *
   * @throws when the node's vote has failed or ended otherwise.
   */
  cancelVoter(node: string): void {
    const pending = this.#pending(node);
    this.#withdrawn.add(node);
    for (const each of pending) each.withdraw(node);
  }

  /**
   * Withdraws the node without which nothing is decided, so that the others complete a change of
   * which they were allowed to commit a part. Returns false for another node, and if nothing was
   * committed yet: then the others cannot continue.
   */
  continueWithout(node: string): boolean {
    if (!this.#isDecisive(node) || !this.#hasCommitted(node)) return false;
    this.#isLeaderless = true;
    this.#withdrawn.add(node);
    for (const each of this.#subtransactions) each.continueWithout(node);
    return true;
  }

  /** Ends all votes of undecided nodes, now and later. */
  end(state: 'canceled' | 'stopped'): void {
    if (this.#end === 'stopped') return; // the primary has refused the write, however its call ends
    for (const each of this.#subtransactions) each.end(state);
    this.#end = state;
  }

  /** The subtransactions in which a node is undecided; @throws when it has not committed one. */
  #pending(node: string): Subtransaction[] {
    for (const [index, each] of this.#subtransactions.entries()) {
      const state = each.state(node);
      if (state === 'undecided') return this.#subtransactions.slice(index);
      if (state !== 'committed') throw new TransactionError(state);
    }
    return [];
  }

  #append(): Subtransaction {
    const before = [...(this.#subtransactions.at(-1)?.states ?? [])];
    const canceled = before.filter(([, state]) => state === 'canceled').map(([node]) => node);
    const next = new Subtransaction(this.#voters, this.#threshold, {
      canceled: new Set([...canceled, ...this.#withdrawn]),
      isLeaderless: this.#isLeaderless,
    });
    this.#subtransactions.push(next);
    return next;
  }

  #hasCommitted(node: string): boolean {
    return this.#subtransactions.some((each) => each.state(node) === 'committed');
  }

  /** Reports whether the other nodes together do not have the weight of the threshold. */
  #isDecisive(node: string): boolean {
    const others = this.#voters.filter((voter) => voter.node !== node);
    return others.reduce((sum, { weight }) => sum + weight, 0) < this.#threshold;
  }
}
