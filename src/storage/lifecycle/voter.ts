import { createHash } from 'node:crypto';

/** Phases of a change in which the nodes of a cluster compare their changes. */
export type VotePhase = 'preparing' | 'prepared' | 'committed' | 'synchronized';

/**
 * Votes with the other nodes of a cluster. Resolves if they agree, rejects if the change must be
 * aborted. `hash` is a SHA-1 (20 bytes) of the change.
 */
export type Vote = (phase: VotePhase, hash: Uint8Array) => Promise<void>;

/** Votes for changes without other nodes. */
export async function noVote(): Promise<void> {}

/** Returns the hash of a vote: always SHA-1, also in repositories with another hash. */
export function voteHash(data: string | Uint8Array): Buffer {
  return createHash('sha1').update(data).digest();
}
