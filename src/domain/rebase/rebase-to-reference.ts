import { GitalyError, invalidArgument, wrap } from '#base/gitaly-error';
import type { Repository } from '#storage/repository';
import { signatureOf, type UserChange } from '../commit/signature.ts';
import { requireOldTarget, type StoreOptions, storeMerge } from '../merge/merge-request-reference.ts';
import { resolveRevision } from '../revisions/resolve-revision.ts';
import { RebaseConflictError, rebase } from './rebase.ts';

export interface RebaseToReference extends UserChange {
  /** Revision to rebase onto. */
  readonly upstream: Uint8Array;
  /** Revision of the last commit to rebase. */
  readonly source: string;
  /** Full name of the reference that gets the result. */
  readonly target: Buffer;
  /** The value that the reference must have; empty for any. */
  readonly expectedOldOid: string;
  /** Applies `.mailmap` of HEAD to the authors, as Gitaly does. */
  readonly mailmap: boolean;
}

/**
 * Rebases commits and stores the result in a reference of merge requests.
 *
 * @returns the id of the last commit.
 * @throws {GitalyError} INVALID_ARGUMENT `invalid FirstParentRef`, `invalid SourceSha`;
 *   FAILED_PRECONDITION for conflicts; `rebasing commits: …`; as `requireOldTarget` and
 *   `signatureOf`.
 */
export async function rebaseToReference(
  repository: Repository,
  request: RebaseToReference,
  options: StoreOptions,
): Promise<string> {
  const { target: name, expectedOldOid } = request;
  const upstream = await resolveRevision(repository, request.upstream, options);
  if (upstream === undefined) throw invalidArgument('invalid FirstParentRef');
  const branch = await resolveRevision(repository, Buffer.from(request.source), options);
  if (branch === undefined) throw invalidArgument('invalid SourceSha');
  const oldOid = await requireOldTarget(repository, name, { expected: expectedOldOid, ...options });
  const committer = signatureOf(request.user, request.seconds);
  const refused = `could not update ${name}. Please refresh and try again`;

  return await storeMerge(repository, { name, oldOid, refused }, options, (workspace) =>
    rebase(workspace, { upstream, branch, committer, mailmap: request.mailmap }).catch((error: unknown) => {
      if (!(error instanceof RebaseConflictError)) throw wrap(error, 'rebasing commits');
      const text = `failed to rebase ${branch} on ${upstream} while preparing ${name} due to conflict`;
      throw new GitalyError('FAILED_PRECONDITION', text, { cause: error });
    }),
  );
}
