import { Subtransaction, type Voter, type VoterState } from './subtransaction.ts';
import { TransactionError } from './transaction-error.ts';

/**
 * The votes of the nodes of one write, in the order in which each node casts them: the n-th vote of
 * a node belongs to the n-th subtransaction.
 */
export class Transaction {
  readonly id: bigint;
  readonly #voters: readonly Voter[];
  readonly #threshold: number;
  readonly #subtransactions: Subtransaction[] = [];
  #end: 'canceled' | 'stopped' | undefined;

  /** @throws when the voters cannot come to one decision. */
  constructor(id: bigint, voters: readonly Voter[], threshold: number) {
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

  /** The state of each node: that of the last subtransaction. */
  get states(): ReadonlyMap<string, VoterState> {
    const last = this.#subtransactions.at(-1);
    if (last !== undefined) return last.states;
    return new Map(this.#voters.map(({ node }) => [node, this.#end ?? 'undecided']));
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
  async vote(node: string, hash: string, signal: AbortSignal): Promise<void> {
    if (this.#end !== undefined) throw new TransactionError(this.#end);
    const [next = this.#append()] = this.#pending(node);
    await next.vote(node, hash, signal);
  }

  /**
   * Withdraws a node that has failed from this and all further subtransactions. One is made if the
   * node has no vote pending, so that the failure shows in {@link states}.
   *
   * @throws when the node's vote has failed or ended otherwise.
   */
  cancelVoter(node: string): void {
    const pending = this.#pending(node);
    for (const each of pending.length === 0 ? [this.#append()] : pending) each.cancelVoter(node);
  }

  /** Ends all votes of nodes that are undecided, and those to come. */
  end(state: 'canceled' | 'stopped'): void {
    if (state === 'stopped' && this.#end === 'stopped') return;
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
    const before = this.#subtransactions.at(-1)?.states ?? new Map<string, VoterState>();
    const canceled = new Set([...before].filter(([, state]) => state === 'canceled').map(([node]) => node));
    const next = new Subtransaction(this.#voters, this.#threshold, canceled);
    this.#subtransactions.push(next);
    return next;
  }
}
