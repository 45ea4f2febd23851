import { ZERO_OID } from '#git/names/object-id';
import { MAX_LFS_FILE_POINTER_BYTES, parseLfsFilePointer } from '#git/objects/parse/lfs-file-pointer';
import { ObjectWriter } from '#git/objects/write/write-objects';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { committedBy, type UserCommit } from '../commit/commit-signing.ts';
import { signatureOf } from '../commit/signature.ts';
import type { BranchUpdate } from '../ref-update/branch-update.ts';
import { updateFromQuarantine } from '../ref-update/quarantined-update.ts';
import type { PreparedValue, UpdateContext } from '../ref-update/update-with-hooks.ts';
import { expectedOid } from '../revisions/expected-oid.ts';
import { branchReference } from '../revisions/reference-names.ts';
import { commitFiles } from './commit-files.ts';
import { findParent, type Parent, type ParentRequest } from './find-parent.ts';
import { type ActionPart, receiveActions } from './receive-actions.ts';
import { fileWriter } from './write-file.ts';

/** Changes of files that become a commit of a branch. */
export interface BranchFiles extends Omit<ParentRequest, 'repository' | 'target'>, UserCommit {
  readonly actions: AsyncIterable<ActionPart>;
  /** Author; the user's name or address where one is empty. */
  readonly authorName: Uint8Array;
  readonly authorEmail: Uint8Array;
  /** The value that the branch must have, zeros if it must not exist; empty for any. */
  readonly expectedOldOid: string;
  /** Moves the branch even if the new commit does not contain its commit. */
  readonly force: boolean;
}

/** A commit with less content is assembled in memory first. */
const MAX_HELD_BYTES = 1024 * 1024;

/**
 * Commits changes of files to a branch, which may be new. Contents of any size are written while
 * they arrive.
 *
 * @throws {IndexError} {InvalidPathError} {EmptySignatureError} {UpdateFailedError}; as
 *   `findParent`, `receiveActions`, `commitFiles`, `expectedOid` and `signatureOf`.
 */
export async function commitFilesToBranch(
  repository: Repository,
  request: BranchFiles,
  context: UpdateContext,
): Promise<BranchUpdate> {
  return await updateFromQuarantine(
    repository,
    (quarantine) => makeCommit({ repository, quarantine, request }, context),
    context,
  );
}

interface MakeCommitOptions {
  readonly repository: Repository;
  readonly quarantine: Quarantine;
  readonly request: BranchFiles;
}

async function makeCommit(
  options: MakeCommitOptions,
  context: UpdateContext,
): Promise<BranchUpdate & PreparedValue> {
  const { repository, quarantine, request } = options;
  const { signal } = context;
  const parent = await findParent({ ...request, repository, target: quarantine.repository }, { signal });
  const { newOid, onKept } = await writeFiles(options, parent, context);
  const isFirstBranch = !(await repository.refs.hasBranches({ signal }));
  const expected = await expectedOid(repository, request.expectedOldOid, { signal, allowZero: true });
  const zero = ZERO_OID[repository.objectFormat];
  const oldOid = expected ?? currentOid(parent, request) ?? zero;
  const reference = branchReference(request.branchName);
  return { reference, oldOid, newOid, onKept, isNewBranch: oldOid === zero, isFirstBranch };
}

/** Unless forced, a branch only moves forward: it must still be at the parent of the new commit. */
function currentOid({ targetOid, parentOid }: Parent, { force }: BranchFiles): string | undefined {
  if (targetOid === undefined || parentOid === undefined) return undefined;
  return force ? targetOid : parentOid;
}

async function writeFiles(
  { repository, quarantine, request }: MakeCommitOptions,
  parent: Parent,
  { hooks, pushRules, signal }: UpdateContext,
): Promise<{ newOid: string; onKept: () => void }> {
  const objectFormat = repository.objectFormat;
  const target = quarantine.repository;
  await using writer = new ObjectWriter(target, objectFormat, { holdBytes: MAX_HELD_BYTES });
  const actions = await receiveActions(request.actions, await fileWriter(target, writer, signal));
  const user = signatureOf(request.user, request.seconds);
  const [name, email] = [trimmed(request.authorName), trimmed(request.authorEmail)];
  const author = {
    ...user,
    name: name.length === 0 ? user.name : name,
    email: email.length === 0 ? user.email : email,
  };
  const people = { author, ...committedBy(user, request.signing) };
  const commit = { parentOid: parent.parentOid, actions, message: request.message, ...people };
  const newOid = await commitFiles(commit, { repository: parent.repository, writer, signal });
  const isChecked =
    (await hooks.needsObjectCheck(repository, pushRules)) ||
    (hooks.requiresLfsFiles && writer.holds(isPointer));
  if (!isChecked) writer.redirect(repository);
  await writer.finish();
  return { newOid, onKept: () => writer.remember(repository) };
}

function isPointer(data: Uint8Array): boolean {
  return data.length <= MAX_LFS_FILE_POINTER_BYTES && parseLfsFilePointer(Buffer.from(data)) !== undefined;
}

function trimmed(text: Uint8Array): Buffer {
  return Buffer.from(Buffer.from(text).toString('latin1').trim(), 'latin1');
}
