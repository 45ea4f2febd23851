import { ZERO_OID } from '#git/names/object-id';
import { type VotePhase, voteHash } from '#storage/lifecycle/voter';

/** The states of git's reference-transaction hook. */
export type ReferenceTransactionState = 'preparing' | 'prepared' | 'committed' | 'aborted';

/** Parses a state from git's command line; `undefined` for an unknown one. */
export function parseReferenceTransactionState(word: string): ReferenceTransactionState | undefined {
  switch (word) {
    case 'preparing':
    case 'prepared':
    case 'committed':
    case 'aborted':
      return word;
    default:
      return undefined;
  }
}

/**
 * Returns the value on which the nodes of a cluster vote for one call of the hook; `undefined`
 * without a vote.
 *
 * Deleting a packed reference makes git run an extra transaction that force-deletes (old and new
 * value zero) from packed-refs. The set of packed references differs between nodes, so a
 * transaction with only such deletions is not voted on: the next one contains the same deletions.
 *
 * @param changes lines `<old> <new> <reference>\n` exactly as git prints them.
 */
export function referenceTransactionVote(
  state: ReferenceTransactionState,
  changes: Buffer,
  objectFormat: 'sha1' | 'sha256',
): { phase: VotePhase; hash: Buffer } | undefined {
  if (state === 'aborted' || isForceDeletionOnly(changes, objectFormat)) return undefined;
  return { phase: state, hash: voteHash(changes) };
}

function isForceDeletionOnly(changes: Buffer, objectFormat: 'sha1' | 'sha256'): boolean {
  const zero = ZERO_OID[objectFormat];
  const prefix = Buffer.from(`${zero} ${zero} `);
  for (let start = 0; start < changes.length; ) {
    if (!changes.subarray(start, start + prefix.length).equals(prefix)) return false;
    const end = changes.indexOf('\n', start);
    if (end === -1) return true;
    start = end + 1;
  }
  return true;
}
