import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import type { Vote } from '#storage/lifecycle/voter';

/** Dependencies of calls that take part in the vote of a cluster. */
export interface VotingDependencies {
  /** Returns the function that votes for a call; `undefined` when nothing is voted on. */
  readonly voteOf: (context: HandlerContext) => Vote | undefined;
  /**
   * Returns how a call votes when it changes references; `undefined` when nothing is voted on. No
   * custom hooks run.
   */
  readonly transactionHooks: (context: HandlerContext) => TransactionHooks | undefined;
}
