import { GitalyError, wrapped } from '#base/gitaly-error';
import { ZERO_OID } from '#git/names/object-id';
import type { Commit } from '#git/objects/parse/parse-commit';
import type { Ident } from '#git/objects/write/format-ident';
import type { Quarantine } from '#storage/quarantine/quarantine';
import type { Repository } from '#storage/repository';
import { committedBy, type UserCommit } from '../commit/commit-signing.ts';
import { signatureOf } from '../commit/signature.ts';
import { writeCommit } from '../commit/write-commit.ts';
import { ancestry } from '../history/ancestry.ts';
import { MergeWorkspace } from '../merge/merge-workspace.ts';
import type { BranchUpdate } from '../ref-update/branch-update.ts';
import { updateFromQuarantine } from '../ref-update/quarantined-update.ts';
import type { NewValue, UpdateContext } from '../ref-update/update-with-hooks.ts';
import { findStart, type Start } from '../remote/server/find-start.ts';
import type { OpenRemote } from '../remote/server/remote-repository.ts';
import { tipOf } from '../revisions/commit-id-of.ts';
import { expectedOid } from '../revisions/expected-oid.ts';
import { branchReference } from '../revisions/reference-names.ts';

/** A change of one commit that goes onto a branch. */
export interface BranchChange extends UserCommit {
  /** Revision of the commit whose change is applied. */
  readonly commit: string;
  /** Created if it does not exist. */
  readonly branchName: Uint8Array;
  /** Revision that the new commit is based on; empty for the branch itself. */
  readonly startRevision: Uint8Array;
  /** Opens the repository that has the start; `undefined` for the repository itself. */
  readonly openRemote: OpenRemote | undefined;
  /** Applies `.mailmap` of HEAD to the author of the commit, as Gitaly does. */
  readonly mailmap: boolean;
  /** The value that the branch must have; empty for any. */
  readonly expectedOldOid: string;
  /** Runs all checks and hooks, and moves the branch only to its start. */
  readonly dryRun: boolean;
}

/** The steps in which cherry-pick and revert differ. */
export interface ChangeSteps {
  /** Returns the error text for a commit that does not exist. */
  notFound(commit: string): string;
  authorOf(picked: Commit, user: Ident): Ident;
  /** Applies the change. @returns the id of the tree. */
  makeTree(workspace: MergeWorkspace, start: Commit, picked: Commit): Promise<string>;
}

/** The branch has commits that the new one does not contain. */
export class BranchDivergedError extends Error {
  override readonly name = 'BranchDivergedError';
  readonly branchOid: string;
  readonly newOid: string;

  constructor({ branchOid, newOid }: { readonly branchOid: string; readonly newOid: string }) {
    super('branch diverged');
    this.branchOid = branchOid;
    this.newOid = newOid;
  }
}

/**
 * Makes a commit from the change of another one and moves a branch to it.
 *
 * @throws {GitalyError} NOT_FOUND `ours commit lookup: commit not found` or the text of the steps;
 *   `checking for ancestry: …`, `write commit: …`, and as `findStart`, `expectedOid`,
 *   `signatureOf`; {BranchDivergedError} {UpdateFailedError}; whatever the steps throw.
 */
export async function changeOntoBranch(
  repository: Repository,
  change: BranchChange,
  steps: ChangeSteps,
  context: UpdateContext,
): Promise<BranchUpdate> {
  const make = (quarantine: Quarantine) => makeChange({ repository, quarantine, change, steps }, context);
  return await updateFromQuarantine(repository, make, context);
}

interface MakeChangeOptions {
  readonly repository: Repository;
  readonly quarantine: Quarantine;
  readonly change: BranchChange;
  readonly steps: ChangeSteps;
}

async function makeChange(
  options: MakeChangeOptions,
  { signal }: UpdateContext,
): Promise<BranchUpdate & NewValue> {
  const { repository, quarantine, change } = options;
  const { branchName, startRevision, openRemote, dryRun } = change;
  const revision = startRevision.length > 0 ? startRevision : branchName;
  const start = await findStart({ repository, quarantine, revision, openRemote }, { signal });
  const isFirstBranch = !(await repository.refs.hasBranches({ signal }));
  const changed = await makeCommit(options, start, signal);

  const reference = branchReference(branchName);
  const tip = await tipOf(repository, reference, { signal });
  const expected = await expectedOid(repository, change.expectedOldOid, { signal });
  const isNewBranch = expected === undefined && tip === undefined;
  const oldOid = expected ?? tip ?? ZERO_OID[repository.objectFormat];
  const newOid = dryRun ? start.oid : changed;
  // The new commit contains all that its parent contains.
  if (!isNewBranch && oldOid !== start.oid && !(await contains(start, oldOid, signal))) {
    throw new BranchDivergedError({ branchOid: oldOid, newOid });
  }
  return { reference, oldOid, newOid, isNewBranch, isFirstBranch };
}

async function makeCommit(
  { quarantine, change, steps }: MakeChangeOptions,
  { oid: startOid, repository }: Start,
  signal: AbortSignal,
): Promise<string> {
  await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
  const start = await repository.objects.readCommit(startOid, { signal, mailmap: false });
  if (start === undefined) throw new GitalyError('NOT_FOUND', 'ours commit lookup: commit not found');
  const user = signatureOf(change.user, change.seconds);
  const picked = await readPicked(workspace, change);
  if (picked === undefined) throw new GitalyError('NOT_FOUND', steps.notFound(change.commit));
  const author = steps.authorOf(picked, user);
  const treeOid = await steps.makeTree(workspace, start, picked);
  const people = { author, ...committedBy(user, change.signing) };
  const commit = { treeOid, parentOids: [startOid], message: change.message, ...people };
  const oid = await writeCommit(workspace.writer, commit).catch(wrapped('write commit'));
  await workspace.finish();
  return oid;
}

async function readPicked(
  { objects, signal }: MergeWorkspace,
  { commit: name, mailmap }: BranchChange,
): Promise<Commit | undefined> {
  if (name === '' || name.startsWith('-') || name.includes('\0')) return undefined;
  return await objects.readCommit(name, { signal, mailmap });
}

async function contains({ oid, repository }: Start, ancestor: string, signal: AbortSignal): Promise<boolean> {
  return await ancestry(repository, { ancestor, descendant: oid }, signal).catch(
    wrapped('checking for ancestry'),
  );
}
