import { GitalyError, wrap } from '#base/gitaly-error';
import { objectIdProblem } from '#git/names/object-id';
import type { Repository } from '#storage/repository';
import { signatureOf, type UserChange } from '../commit/signature.ts';
import { MergeWorkspace } from '../merge/merge-workspace.ts';
import { type PreparedUpdate, prepareUpdate } from '../ref-update/quarantined-update.ts';
import type { NewValue } from '../ref-update/update-with-hooks.ts';
import { findStart } from '../remote/server/find-start.ts';
import type { OpenRemote } from '../remote/server/remote-repository.ts';
import type { SignalOption } from '../revisions/commit-id-of.ts';
import { branchReference } from '../revisions/reference-names.ts';
import { RebaseConflictError, rebase } from './rebase.ts';

export interface BranchRebase extends UserChange {
  readonly branch: Uint8Array;
  /** Id of the branch's last commit, as the client sent it. */
  readonly branchOid: string;
  /** Revision to rebase onto. */
  readonly upstream: Uint8Array;
  /** Opens the repository that has the upstream. */
  readonly openRemote: OpenRemote;
  /** Applies `.mailmap` of HEAD to the authors, as Gitaly does. */
  readonly mailmap: boolean;
  readonly pushOptions: readonly string[];
}

/**
 * Rebases a branch, which moves when the result is applied. Dispose the result.
 *
 * @throws {RebaseConflictError}; {GitalyError} NOT_FOUND for an invalid id, `rebasing commits: …`,
 *   and as `findStart` and `signatureOf`.
 */
export async function rebaseBranch(
  repository: Repository,
  request: BranchRebase,
  { signal }: SignalOption,
): Promise<PreparedUpdate<NewValue>> {
  const { branchOid, openRemote, pushOptions } = request;
  const problem = objectIdProblem(branchOid, repository.objectFormat);
  if (problem !== undefined) throw new GitalyError('NOT_FOUND', problem);

  return await prepareUpdate(repository, async (quarantine) => {
    const revision = request.upstream;
    const start = await findStart({ repository, quarantine, revision, openRemote }, { signal });
    const committer = signatureOf(request.user, request.seconds);
    const target = quarantine.repository;
    await using workspace = new MergeWorkspace({ repository: start.repository, target, signal });
    const commits = { upstream: start.oid, branch: branchOid, committer, mailmap: request.mailmap };
    const newOid = await rebase(workspace, commits).catch((error: unknown) => {
      throw error instanceof RebaseConflictError ? error : wrap(error, 'rebasing commits');
    });
    await workspace.finish();
    return { reference: branchReference(request.branch), oldOid: branchOid, newOid, pushOptions };
  });
}
