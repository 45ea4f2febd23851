import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { signatureOf, type UserChange } from '../commit/signature.ts';
import { writeCommit } from '../commit/write-commit.ts';
import { updateFromQuarantine } from '../ref-update/quarantined-update.ts';
import type { UpdateContext } from '../ref-update/update-with-hooks.ts';
import { requireOldOid } from '../revisions/expected-oid.ts';
import { branchReference } from '../revisions/reference-names.ts';
import { resolveRevision } from '../revisions/resolve-revision.ts';
import { requireParent } from './require-parent.ts';
import { NoSubmoduleError, SubmoduleUnchangedError, updateSubmodule } from './update-submodule.ts';

export interface BranchSubmodule extends UserChange {
  readonly branch: Uint8Array;
  /** Path of the submodule, as the client wrote it. */
  readonly path: Uint8Array;
  /** The submodule's new commit, which need not exist in the repository. */
  readonly commitOid: string;
  readonly message: Uint8Array;
  /** The value that the branch must have; empty for any. */
  readonly expectedOldOid: string;
}

/**
 * Commits to a branch that a submodule is at another commit.
 *
 * @returns the id of the new commit.
 * @throws {GitalyError} FAILED_PRECONDITION `Repository is empty`; `submodule subcommand: …`;
 *   {ReferenceNotFoundError} {NoSubmoduleError} {SubmoduleUnchangedError} {UpdateFailedError}; as
 *   `expectedOid`.
 */
export async function updateSubmoduleOnBranch(
  repository: Repository,
  update: BranchSubmodule,
  context: UpdateContext,
): Promise<string> {
  const { signal } = context;
  if (!(await repository.refs.hasBranches({ signal })))
    throw new GitalyError('FAILED_PRECONDITION', 'Repository is empty');
  const reference = branchReference(update.branch);
  const oldOid = await requireOldOid(repository, { reference, expected: update.expectedOldOid }, { signal });

  const make = async (quarantine: Quarantine) => {
    const newOid = await commitUpdate(repository, quarantine, update, signal).catch((error: unknown) => {
      const isNamed = error instanceof NoSubmoduleError || error instanceof SubmoduleUnchangedError;
      throw isNamed ? error : wrap(error, 'submodule subcommand');
    });
    return { reference, oldOid, newOid };
  };
  return (await updateFromQuarantine(repository, make, context)).newOid;
}

async function commitUpdate(
  repository: Repository,
  quarantine: Quarantine,
  { branch, path, commitOid, user, seconds, message }: BranchSubmodule,
  signal: AbortSignal,
): Promise<string> {
  const tree = await repository.objects.info(
    Buffer.concat([branchReference(branch), Buffer.from('^{tree}')]),
    { signal },
  );
  if (tree === undefined) throw new NoSubmoduleError();
  await using writer = new ObjectWriter(quarantine.repository, repository.objectFormat);
  const update = { treeOid: tree.oid, path: Buffer.from(path), commitOid };
  const treeOid = await updateSubmodule(update, { repository, writer, signal });

  // Gitaly resolves the short name, so a tag of that name takes precedence over the branch.
  const parentOid = await resolveRevision(repository, branch, { signal });
  if (parentOid === undefined) throw new Error('resolving submodule branch: reference not found');
  const author = signatureOf(user, seconds);
  const commit = { treeOid, parentOids: [parentOid], author, committer: author, message };
  const oid = await requireParent(repository, parentOid, signal)
    .then(() => writeCommit(writer, commit))
    .catch((error: unknown) => {
      throw new Error(`creating commit ${messageOf(error)}`, { cause: error });
    });
  await writer.finish();
  return oid;
}
