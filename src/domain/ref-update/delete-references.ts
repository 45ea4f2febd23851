import { wrap } from '#base/gitaly-error';
import { ZERO_OID } from '#git/objects/object-id';
import { RefTransaction } from '#git/refs/ref-transaction';
import type { Repository } from '#storage/repository';
import type { Vote, VotePhase } from '#storage/voter';
import { voteHash } from '../transactions/voter.ts';

const LINE_FEED = Buffer.from('\n');

export interface DeleteOptions {
  /** How the cluster votes; `undefined` without a cluster. */
  readonly vote: Vote | undefined;
  readonly signal: AbortSignal;
}

/**
 * Deletes references, all or none, whatever they hold; one that does not exist is no error. Symbolic references go, not what they lead to. The
 * nodes vote on the names: git's own hook would say nothing of deletions that expect no value.
 *
 * @throws {GitalyError} `unable to prepare: …`, `unable to commit: …`, `preparing vote: …`, `prepared vote: …`, `committing vote: …`; the cause of
 *   the first two is a {RefUpdateError} or a {GitExitError}.
 */
export async function deleteReferences(
  repository: Repository,
  names: readonly Uint8Array[],
  { vote, signal }: DeleteOptions,
): Promise<void> {
  const newOid = ZERO_OID[repository.git.objectFormat(repository)];
  const hash = vote && voteHash(Buffer.concat(names.flatMap((name) => [name, LINE_FEED])));
  const cast = async (phase: VotePhase, which: string): Promise<void> => {
    if (hash !== undefined) await vote?.(phase, hash).catch(prefixed(`${which} vote`));
  };

  await using transaction = await RefTransaction.start(repository.git, repository, {
    hooks: 'disabled',
    noDereference: true,
    signal,
  });
  for (const name of names) await transaction.update(name, { newOid });
  await cast('preparing', 'preparing');
  await transaction.prepare().catch(prefixed('unable to prepare'));
  await cast('prepared', 'prepared');
  await transaction.commit().catch(prefixed('unable to commit'));
  await cast('committed', 'committing');
}

function prefixed(prefix: string): (error: unknown) => never {
  return (error) => {
    throw wrap(error, prefix);
  };
}
