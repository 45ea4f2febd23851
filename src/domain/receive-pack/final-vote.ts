import { wrap } from '#base/gitaly-error';
import type { Transaction } from '../transactions/transaction.ts';
import { isVoteOutcome, TransactionStoppedError, type Voter, ZERO_VOTE } from '../transactions/voter.ts';

/**
 * The last vote of a push. A push of which every reference was refused has cast none that counts; this one keeps the cluster from
 * repairing what nobody changed, and shows when nodes went different ways.
 *
 * A stopped transaction is fine: a hook refused the push, and the client has been told.
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
    if (!isVoteOutcome(error, TransactionStoppedError)) throw wrap(error, 'final transactional vote', 'ABORTED');
  }
}
