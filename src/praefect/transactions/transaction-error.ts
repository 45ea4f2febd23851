/** Reason for which a node may not commit. */
export type TransactionEnd = 'failed' | 'canceled' | 'stopped';

const TEXTS: Readonly<Record<TransactionEnd, string>> = {
  failed: 'transaction did not reach quorum',
  canceled: 'transaction has been canceled',
  stopped: 'transaction has been stopped',
};

/** A vote that ended without a commit. The message is Praefect's. */
export class TransactionError extends Error {
  override readonly name = 'TransactionError';
  readonly end: TransactionEnd;

  constructor(end: TransactionEnd, { prefix = '', detail }: { prefix?: string; detail?: string } = {}) {
    super(prefix + TEXTS[end] + (detail === undefined ? '' : `: ${detail}`));
    this.end = end;
  }
}

/** The transaction of a vote is not running here (any more). */
export class UnknownTransactionError extends Error {
  override readonly name = 'UnknownTransactionError';

  constructor(id: bigint) {
    super(`transaction not found: ${id}`);
  }
}
