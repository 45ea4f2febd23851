import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { type Vote, type VotePhase, voteHash } from '#storage/lifecycle/voter';
import { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { committedBy, type UserCommit } from '../commit/commit-signing.ts';
import { type Person, signatureOf } from '../commit/signature.ts';
import { commitIdOf, type SignalOption, whyNoCommit } from '../revisions/commit-id-of.ts';
import { MergeConflictError } from './merge-conflict-error.ts';
import { mergeIntoCommit } from './merge-into-commit.ts';
import { MergeWorkspace } from './merge-workspace.ts';

export interface Squash extends UserCommit {
  /** Revision of the parent of the new commit. */
  readonly start: string;
  /** Revision of the last commit whose changes it takes. */
  readonly end: string;
  readonly author: Person;
  /** A missing line feed at the end is added. */
  readonly message: Uint8Array;
}

export interface SquashOptions extends SignalOption {
  /** The vote of the cluster; `undefined` without a cluster. */
  readonly vote: Vote | undefined;
}

/** One end of the commits to squash does not exist. */
export class SquashRevisionError extends Error {
  override readonly name = 'SquashRevisionError';
  readonly revision: string;

  constructor(which: 'start' | 'end', revision: string) {
    super(`resolving ${which} revision: ${whyNoCommit(revision)}`);
    this.revision = revision;
  }
}

/**
 * Makes one commit of all changes between two commits. No reference moves and no hook runs; the
 * nodes of a cluster vote on the commit.
 *
 * @returns its id.
 * @throws {SquashRevisionError} {MergeConflictError}; {GitalyError} INVALID_ARGUMENT for a time
 *   zone, `squashing commits: merge: …`, ABORTED `… vote on squashed commit: …`.
 */
export async function squashCommits(
  repository: Repository,
  squash: Squash,
  { vote, signal }: SquashOptions,
): Promise<string> {
  const ours = await resolve(repository, 'start', squash.start, { signal });
  const theirs = await resolve(repository, 'end', squash.end, { signal });
  const committer = signatureOf(squash.user, squash.seconds);
  const author = { ...signatureOf(squash.author, squash.seconds), seconds: committer.seconds };
  const people = { author, ...committedBy(committer, squash.signing) };
  const message = withFinalLineFeed(squash.message);

  await using quarantine = await Quarantine.create(repository);
  await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
  const merge = { ours, theirs, message, squash: true, ...people };
  const oid = await mergeIntoCommit(workspace, merge).catch((error: unknown) => {
    throw error instanceof MergeConflictError ? error : wrap(error, 'squashing commits: merge');
  });
  await workspace.finish();
  const cast = async (phase: VotePhase, word: string): Promise<void> => {
    await vote?.(phase, voteHash(oid)).catch((error: unknown) => {
      const message = `${word} vote on squashed commit: ${messageOf(error)}`;
      throw new GitalyError('ABORTED', message, { cause: error });
    });
  };
  await cast('preparing', 'preparing');
  await cast('prepared', 'prepared');
  await quarantine.migrate();
  await cast('committed', 'committing');
  return oid;
}

async function resolve(
  repository: Repository,
  which: 'start' | 'end',
  revision: string,
  options: SignalOption,
): Promise<string> {
  const oid = await commitIdOf(repository, revision, options);
  if (oid === undefined) throw new SquashRevisionError(which, revision);
  return oid;
}

function withFinalLineFeed(message: Uint8Array): Uint8Array {
  return message.at(-1) === 0x0a ? message : Buffer.concat([message, Buffer.of(0x0a)]);
}
