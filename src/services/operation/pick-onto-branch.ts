import type { MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { ancestry } from '#domain/merge/ancestry';
import { MergeWorkspace } from '#domain/merge/merge-workspace';
import { updateWithHooks } from '#domain/ref-update/update-with-hooks';
import type { CommittedBy } from '#domain/signing/commit-signing';
import type { Ident } from '#git/objects/format-ident';
import { ZERO_OID } from '#git/objects/object-id';
import type { Commit } from '#git/objects/parse-commit';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import type { OperationBranchUpdateSchema, UserCherryPickRequest, UserRevertRequest } from '#wire/gen/operations_pb';
import type { User } from '#wire/gen/shared_pb';
import { updateContextOf } from '../convert/update-context.ts';
import type { OperationRooms } from './index.ts';
import { signatureOfUser } from './merge-parts.ts';
import { findStart } from './pick-start.ts';
import { branchReference, expectedOid, requireFilled, requireUser } from './request-parts.ts';
import { signedBy } from './signed-by.ts';

type PickRequest = UserCherryPickRequest | UserRevertRequest;

/** What a commit that goes onto a branch is made of. */
export interface PickParts extends CommittedBy {
  /** Its parent. */
  readonly start: Commit;
  /** The one that the request names. */
  readonly picked: Commit;
  /** The user. */
  readonly person: Ident;
}

/** What cherry-pick and revert do each in its own way. */
export interface PickOnto {
  /** What clients are told when there is no commit of that name. */
  notFound(revision: string): string;
  /** Makes the commit in the workspace. @returns its id. */
  makeCommit(workspace: MergeWorkspace, parts: PickParts): Promise<string>;
  /** What clients are told when the branch has commits that the new one would lose. */
  diverged(parentRevision: Buffer, childRevision: Buffer): GitalyError;
  /** What they are told when the branch cannot be moved. */
  refuse(error: unknown): never;
}

/**
 * Puts a commit onto a branch, which is made where it does not exist: the commit goes on top of the branch, of another one, or of one of
 * another repository. A dry run moves the branch to where it would have begun, so that hooks are asked all the same.
 */
export async function pickOntoBranch(
  request: PickRequest,
  context: HandlerContext,
  rooms: OperationRooms,
  pick: PickOnto,
): Promise<MessageInitShape<typeof OperationBranchUpdateSchema>> {
  const repository = rooms.storages.open(request.repository);
  const user = checkFields(request);
  const { signal } = context;
  const { branchName, startBranchName, startRepository, dryRun } = request;

  await using quarantine = await Quarantine.create(repository);
  const revision = startBranchName.length > 0 ? startBranchName : branchName;
  const start = await findStart({ repository, quarantine, revision, startRepository }, context, rooms);
  const repoCreated = !(await repository.refs.hasBranches({ signal }));
  const picked = await makeCommit();

  const reference = branchReference(branchName);
  const tip = await tipOf(repository, reference, signal);
  const expected = await expectedOid(repository, request.expectedOldOid, { signal });
  const branchCreated = expected === undefined && tip === undefined;
  const oldOid = expected ?? tip ?? ZERO_OID[repository.git.objectFormat(repository)];
  const newOid = dryRun ? start.oid : picked;
  // What the new commit contains is what its parent contains.
  const question = { ancestor: oldOid, descendant: start.oid };
  if (!branchCreated && oldOid !== start.oid && !(await isAncestor(start.repository, question, signal))) {
    throw pick.diverged(Buffer.from(oldOid), Buffer.from(newOid));
  }
  const update = { repository, quarantine, reference, oldOid, newOid };
  await updateWithHooks(rooms.hooks, update, updateContextOf(user, context)).catch(pick.refuse);
  return { commitId: newOid, branchCreated, repoCreated };

  async function makeCommit(): Promise<string> {
    await using workspace = new MergeWorkspace({ repository: start.repository, target: quarantine.repository, signal });
    const startCommit = await start.repository.objects.readCommit(start.oid, { signal, mailmap: false });
    if (startCommit === undefined) throw new GitalyError('NOT_FOUND', 'ours commit lookup: commit not found');
    const person = signatureOfUser(user, request.timestamp);
    const committed = signedBy(person, request, context, rooms);
    const picked = await findPicked(workspace, request.commit?.id ?? '');
    const oid = await pick.makeCommit(workspace, { start: startCommit, picked, person, ...committed });
    await workspace.finish();
    return oid;
  }

  async function findPicked({ objects }: MergeWorkspace, name: string): Promise<Commit> {
    const isRevision = name !== '' && !name.startsWith('-') && !name.includes('\0');
    const commit = isRevision ? await objects.readCommit(name, { signal, mailmap: false }) : undefined;
    if (commit === undefined) throw new GitalyError('NOT_FOUND', pick.notFound(name));
    return commit;
  }
}

/** @throws {GitalyError} INVALID_ARGUMENT. */
function checkFields({ user, commit, branchName, message }: PickRequest): User {
  const known = requireUser(user, 'empty User');
  if (commit === undefined) throw new GitalyError('INVALID_ARGUMENT', 'empty Commit');
  requireFilled(branchName, 'empty BranchName');
  requireFilled(message, 'empty Message');
  return known;
}

async function tipOf(repository: Repository, reference: Buffer, signal: AbortSignal): Promise<string | undefined> {
  if (reference.includes(0)) return undefined;
  return (await repository.objects.info(Buffer.concat([reference, Buffer.from('^{commit}')]), { signal }))?.oid;
}

async function isAncestor(
  repository: Repository,
  question: { readonly ancestor: string; readonly descendant: string },
  signal: AbortSignal,
): Promise<boolean> {
  return await ancestry(repository, question, signal).catch((error: unknown) => {
    throw wrap(error, 'checking for ancestry');
  });
}
