import { wrap } from '#base/gitaly-error';
import type { Transaction } from '../transactions/transaction.ts';
import { isVoteOutcome, TransactionStoppedError, type Voter, ZERO_VOTE } from '../transactions/voter.ts';

/**
 * Casts the last vote of a push. If every reference of a push was refused, no vote has counted.
 * This vote prevents a needless repair of the cluster, and shows different outcomes of the nodes.
 *
 * A stopped transaction is no error: a hook refused the push, and the client has been informed.
 *
 * @throws {GitalyError} ABORTED `final transactional vote: …`
 */
export async function castFinalVote(
  voter: Voter,
  transaction: Transaction | undefined,
  options: { signal: AbortSignal },
): Promise<void> {
  if (transaction === undefined) return;
  try {
    await voter.vote(transaction, 'committed', ZERO_VOTE, options);
  } catch (error) {
    if (!isVoteOutcome(error, TransactionStoppedError))
      throw wrap(error, 'final transactional vote', 'ABORTED');
  }
}
