import type { TransactionHooks } from '#domain/transactions/transaction-hooks';
import type { HandlerContext } from '#rpc/server/handler';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';

/** Dependencies of calls that take part in the vote of a cluster. */
export interface VotingDependencies {
  /** Returns the function that votes for a call; `undefined` when nothing is voted on. */
  readonly voteOf: (context: HandlerContext) => Vote | undefined;
  /**
   * Returns the hooks by which git votes when a call changes references; `undefined` when nothing
   * is voted on. They run no custom hooks.
   */
  readonly transactionHooks: (
    context: HandlerContext,
    repository: Repository,
  ) => TransactionHooks | undefined;
}
