/** Moments of a change at which the nodes of a cluster compare what they are about to do. */
export type VotePhase = 'preparing' | 'prepared' | 'committed' | 'synchronized';

/**
 * Asks the other nodes of a cluster whether they do the same. Resolves when they agree, rejects when the change must not go on.
 * `hash` is a SHA-1 (20 bytes) of what the change consists of.
 */
export type Vote = (phase: VotePhase, hash: Uint8Array) => Promise<void>;

/** For changes that nobody else takes part in. */
export async function noVote(): Promise<void> {}
