import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import { mergeIntoCommit } from '#domain/merge/merge-into-commit';
import { MergeWorkspace } from '#domain/merge/merge-workspace';
import { voteHash } from '#domain/transactions/voter';
import type { HandlerContext } from '#rpc/server/handler';
import { Quarantine } from '#storage/quarantine';
import type { Repository } from '#storage/repository';
import type { VotePhase } from '#storage/voter';
import { UserSquashErrorSchema, type UserSquashRequest, type UserSquashResponseSchema } from '#wire/gen/operations_pb';
import { whyNotFound } from '../convert/revision.ts';
import type { OperationRooms } from './index.ts';
import { mergeConflictDetail, signatureOfUser } from './merge-parts.ts';
import { requireFilled, requireUser } from './request-parts.ts';
import { signedBy } from './signed-by.ts';

/** Makes one commit of all changes between two. No reference moves, and nobody is asked but the cluster. */
export async function userSquash(
  request: UserSquashRequest,
  context: HandlerContext,
  rooms: OperationRooms,
): Promise<MessageInitShape<typeof UserSquashResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  const user = requireUser(request.user, 'empty User');
  requireFilled(user.name, 'empty user name');
  requireFilled(user.email, 'empty user email');
  requireFilled(request.startSha, 'empty StartSha');
  requireFilled(request.endSha, 'empty EndSha');
  requireFilled(request.commitMessage, 'empty CommitMessage');
  const author = requireUser(request.author, 'empty Author');
  requireFilled(author.name, 'empty author name');
  requireFilled(author.email, 'empty author email');

  const { signal } = context;
  const ours = await resolveCommit(repository, request.startSha, 'start', signal);
  const theirs = await resolveCommit(repository, request.endSha, 'end', signal);
  const committer = signatureOfUser(user, request.timestamp);
  const people = {
    author: { ...signatureOfUser(author, request.timestamp), seconds: committer.seconds },
    ...signedBy(committer, request, context, rooms),
  };
  const message = withFinalLineFeed(request.commitMessage);

  await using quarantine = await Quarantine.create(repository);
  await using workspace = new MergeWorkspace({ repository, target: quarantine.repository, signal });
  const squash = { ours, theirs, message, squash: true, ...people };
  const squashSha = await mergeIntoCommit(workspace, squash).catch((error: unknown) => {
    if (!(error instanceof MergeConflictError)) throw wrap(error, 'squashing commits: merge');
    const value = mergeConflictDetail(error, [ours, theirs]);
    const detail = create(UserSquashErrorSchema, { error: { case: 'rebaseConflict', value } });
    throw new GitalyError('FAILED_PRECONDITION', `squashing commits: ${error.message}`, { cause: error, details: [detail] });
  });
  await workspace.finish();
  await castVote(rooms, context, squashSha, 'preparing', 'preparing');
  await castVote(rooms, context, squashSha, 'prepared', 'prepared');
  await quarantine.migrate();
  await castVote(rooms, context, squashSha, 'committed', 'committing');
  return { squashSha };
}

/** The nodes of a cluster agree on the commit, since there is no reference that they could agree on. */
async function castVote(
  rooms: OperationRooms,
  context: HandlerContext,
  oid: string,
  phase: VotePhase,
  word: string,
): Promise<void> {
  await rooms
    .voteOf(context)?.(phase, voteHash(oid))
    .catch((error: unknown) => {
      throw new GitalyError('ABORTED', `${word} vote on squashed commit: ${messageOf(error)}`, { cause: error });
    });
}

async function resolveCommit(repository: Repository, revision: string, which: string, signal: AbortSignal): Promise<string> {
  const name = Buffer.from(`${revision}^{commit}`);
  const commit = revision.startsWith('-') ? undefined : await repository.objects.info(name, { signal });
  if (commit !== undefined) return commit.oid;
  const detail = create(UserSquashErrorSchema, {
    error: { case: 'resolveRevision', value: { revision: Buffer.from(revision) } },
  });
  throw new GitalyError('INVALID_ARGUMENT', `resolving ${which} revision: ${whyNotFound(name)}`, { details: [detail] });
}

function withFinalLineFeed(message: Uint8Array): Uint8Array {
  return message.at(-1) === 0x0a ? message : Buffer.concat([message, Buffer.of(0x0a)]);
}
