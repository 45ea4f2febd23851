import { GitalyError, invalidArgument } from '#base/gitaly-error';
import type { Repository } from '#storage/repository';
import { committedBy, type UserCommit } from '../commit/commit-signing.ts';
import { signatureOf } from '../commit/signature.ts';
import { resolveRevision } from '../revisions/resolve-revision.ts';
import { mergeIntoCommit } from './merge-into-commit.ts';
import { requireOldTarget, type StoreOptions, storeMerge } from './merge-request-reference.ts';

export interface MergeToReference extends UserCommit {
  /** Revision of the first parent. */
  readonly base: Uint8Array;
  /** Revision of the second parent. */
  readonly source: string;
  /** Full name of the reference that gets the merge. */
  readonly target: Buffer;
  /** The value that the reference must have; empty for any. */
  readonly expectedOldOid: string;
}

/**
 * Computes the merge that a merge request would make and stores it in a reference.
 *
 * @returns the id of the commit.
 * @throws {GitalyError} INVALID_ARGUMENT `Invalid merge source`; FAILED_PRECONDITION if the commits
 *   cannot be merged; as `requireOldTarget`, `signatureOf` and `storeMerge`.
 */
export async function mergeToReference(
  repository: Repository,
  merge: MergeToReference,
  options: StoreOptions,
): Promise<string> {
  const { target: name, message, expectedOldOid } = merge;
  const ours = await resolveRevision(repository, merge.base, options);
  const theirs = await resolveRevision(repository, Buffer.from(merge.source), options);
  if (ours === undefined || theirs === undefined) throw invalidArgument('Invalid merge source');
  const author = signatureOf(merge.user, merge.seconds);
  const people = { author, ...committedBy(author, merge.signing) };
  const oldOid = await requireOldTarget(repository, name, { expected: expectedOldOid, ...options });
  const refused = `Could not update ${name}. Please refresh and try again`;

  return await storeMerge(repository, { name, oldOid, refused }, options, (workspace) =>
    mergeIntoCommit(workspace, { ours, theirs, message, squash: false, ...people }).catch(
      (error: unknown) => {
        const text =
          `Failed to create merge commit for source_sha ${theirs} and target_sha ${ours} at ` + `${name}`;
        throw new GitalyError('FAILED_PRECONDITION', text, { cause: error });
      },
    ),
  );
}
