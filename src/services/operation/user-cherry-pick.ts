import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { ChangesAlreadyAppliedError, cherryPick } from '#domain/cherry-pick/apply-change';
import { writeCommit } from '#domain/commit/write-commit';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import type { MergeWorkspace } from '#domain/merge/merge-workspace';
import { strictIdent } from '#domain/rebase/commit-text';
import { refusalOf } from '#domain/ref-update/refusals';
import type { Ident } from '#git/objects/format-ident';
import type { Commit } from '#git/objects/parse-commit';
import type { HandlerContext } from '#rpc/server/handler';
import { AccessCheckErrorSchema, ChangesAlreadyAppliedErrorSchema, NotAncestorErrorSchema } from '#wire/gen/errors_pb';
import {
  type UserCherryPickError,
  UserCherryPickErrorSchema,
  type UserCherryPickRequest,
  type UserCherryPickResponseSchema,
} from '#wire/gen/operations_pb';
import type { OperationRooms } from './index.ts';
import { mergeConflictDetail } from './merge-parts.ts';
import { type PickParts, pickOntoBranch } from './pick-onto-branch.ts';

/** Applies the change of one commit to a branch. */
export async function userCherryPick(
  request: UserCherryPickRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserCherryPickResponseSchema>> {
  const branchUpdate = await pickOntoBranch(request, context, rooms, {
    notFound: (revision) => `cherry-pick: commit lookup: commit not found: ${quote(revision)}`,
    makeCommit: (workspace, parts) => makeCommit(request, workspace, parts),
    diverged: (parentRevision, childRevision) => {
      const value = create(NotAncestorErrorSchema, { parentRevision, childRevision });
      return failed('cherry-pick: branch diverged', undefined, { case: 'targetBranchDiverged', value });
    },
    refuse,
  });
  return { branchUpdate };
}

async function makeCommit(
  request: UserCherryPickRequest,
  workspace: MergeWorkspace,
  { start, picked, person, committer, sign }: PickParts,
): Promise<string> {
  const author = authorOf(request, picked, person);
  const treeOid = await cherryPick(workspace, start, picked).catch(explain);
  const { message } = request;
  try {
    return await writeCommit(workspace.writer, { treeOid, parentOids: [start.oid], author, committer, message, sign });
  } catch (error) {
    throw wrap(error, 'write commit');
  }
}

/** Who wrote the change: whoever wrote the commit, unless the request names another. */
function authorOf({ commitAuthorName, commitAuthorEmail }: UserCherryPickRequest, commit: Commit, person: Ident): Ident {
  if (commitAuthorName.length > 0 && commitAuthorEmail.length > 0) {
    return { ...person, name: trimmed(commitAuthorName), email: trimmed(commitAuthorEmail) };
  }
  try {
    return strictIdent(commit.author);
  } catch (error) {
    throw wrap(error, 'get cherry commit location');
  }
}

function trimmed(text: Uint8Array): Uint8Array {
  const latin1 = Buffer.from(text).toString('latin1');
  return Buffer.from(latin1.replace(/^[\t-\r ]+|[\t-\r ]+$/g, ''), 'latin1');
}

function explain(error: unknown): never {
  if (error instanceof MergeConflictError) {
    throw failed(error.message, error, { case: 'cherryPickConflict', value: mergeConflictDetail(error) });
  }
  if (error instanceof ChangesAlreadyAppliedError) {
    throw failed(`cherry-pick: ${error.message}`, error, {
      case: 'changesAlreadyApplied',
      value: create(ChangesAlreadyAppliedErrorSchema),
    });
  }
  throw error;
}

function refuse(error: unknown): never {
  const refusal = refusalOf(error);
  if (refusal?.by !== 'custom-hook') throw wrap(error, 'update reference with hooks');
  const errorMessage = refusal.error.message.replace(/\n$/, '');
  throw failed('access check failed', error, { case: 'accessCheck', value: create(AccessCheckErrorSchema, { errorMessage }) });
}

function failed(message: string, cause: unknown, error: UserCherryPickError['error']): GitalyError {
  return new GitalyError('FAILED_PRECONDITION', message, { cause, details: [create(UserCherryPickErrorSchema, { error })] });
}
