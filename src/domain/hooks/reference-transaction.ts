import type { VotePhase } from '#storage/voter';
import { voteHash } from '../transactions/voter.ts';

/** The states of git's reference-transaction hook. */
export type ReferenceTransactionState = 'preparing' | 'prepared' | 'committed' | 'aborted';

/** A state as git writes it on the command line; `undefined` for an unknown one. */
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
 * What a cluster votes on for one call of the hook; `undefined` when there is nothing to vote on.
 *
 * Deleting a reference that is packed makes git run an extra transaction that force-deletes (old and new value zero) from
 * packed-refs. Which references are packed differs from node to node, so a transaction of nothing else is no change: the same
 * deletions come again in the transaction that follows.
 *
 * @param changes lines `<old> <new> <reference>\n` exactly as git prints them.
 */
export function referenceTransactionBallot(
  state: ReferenceTransactionState,
  changes: Buffer,
  objectFormat: 'sha1' | 'sha256',
): { phase: VotePhase; hash: Buffer } | undefined {
  if (state === 'aborted' || isForceDeletionOnly(changes, objectFormat)) return undefined;
  return { phase: state, hash: voteHash(changes) };
}

function isForceDeletionOnly(changes: Buffer, objectFormat: 'sha1' | 'sha256'): boolean {
  const zero = '0'.repeat(objectFormat === 'sha1' ? 40 : 64);
  const prefix = Buffer.from(`${zero} ${zero} `);
  for (let start = 0; start < changes.length; ) {
    if (!changes.subarray(start, start + prefix.length).equals(prefix)) return false;
    const end = changes.indexOf('\n', start);
    if (end === -1) return true;
    start = end + 1;
  }
  return true;
}
