import { inTurns } from '#base/async/loop-turns';
import { wrapped } from '#base/gitaly-error';
import { ZERO_OID } from '#git/names/object-id';
import { RefTransaction } from '#git/refs/update/ref-transaction';
import { type Vote, type VotePhase, voteHash } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';

const LINE_FEED = Buffer.from('\n');

export interface DeleteOptions {
  /** The vote of the cluster; `undefined` without a cluster. */
  readonly vote: Vote | undefined;
  /** Returns the text that the nodes vote on for a name. Default: the name and a line feed. */
  readonly lineOf?: (name: Uint8Array) => Buffer;
  readonly signal: AbortSignal;
}

/**
 * Deletes references, all or none, whatever their values; a missing one is no error. Symbolic
 * references are deleted themselves. The nodes vote on the names, because git's own hook reports no
 * deletions without an expected value.
 *
 * @throws {GitalyError} `unable to prepare: …`, `unable to commit: …`, `preparing vote: …`,
 *   `prepared vote: …`, `committing vote: …`; the cause of the first two is a {RefUpdateError} or a
 *   {GitExitError}.
 */
export async function deleteReferences(
  repository: Repository,
  names: readonly Uint8Array[],
  { vote, lineOf = (name) => Buffer.concat([name, LINE_FEED]), signal }: DeleteOptions,
): Promise<void> {
  const newOid = ZERO_OID[repository.objectFormat];
  const pieces: Buffer[] = [];
  if (vote !== undefined)
    for await (const piece of inTurns(names, signal)) pieces.push(Buffer.concat(piece.map(lineOf)));
  const cast = vote && castingOf(vote, voteHash(Buffer.concat(pieces)));

  await using transaction = await RefTransaction.start(repository, { signal });
  for (const name of names) await transaction.update(name, { newOid });
  await cast?.('preparing', 'preparing');
  await transaction.prepare().catch(wrapped('unable to prepare'));
  await cast?.('prepared', 'prepared');
  await transaction.commit().catch(wrapped('unable to commit'));
  await cast?.('committed', 'committing');
}

function castingOf(vote: Vote, hash: Uint8Array) {
  return (phase: VotePhase, which: string): Promise<void> =>
    vote(phase, hash).catch(wrapped(`${which} vote`));
}
