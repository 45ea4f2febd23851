import type { Vote } from '#storage/lifecycle/voter';
import type { EnterOrder } from './named-references.ts';

/** The votes of a cluster for a change of references without access checks. */
export interface TransactionHooks {
  /** Votes on a change. */
  readonly vote: Vote;
  /** Waits until references may be locked, if the cluster orders its writes. */
  readonly enter?: EnterOrder | undefined;
}

export interface TransactionHooksOptions extends TransactionHooks {
  /** Receives the reason of a failed vote: the caller only learns that the change was refused. */
  readonly onError: (error: unknown) => void;
}

/** Creates the votes on changes of references without access checks. */
export function transactionHooks({ vote, enter, onError }: TransactionHooksOptions): TransactionHooks {
  return {
    enter,
    vote: async (phase, hash) => {
      await vote(phase, hash).catch((error: unknown) => {
        onError(error);
        throw error;
      });
    },
  };
}
