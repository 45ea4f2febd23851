import { create } from '@bufbuild/protobuf';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { MergeConflictError } from '#domain/merge/merge-conflict-error';
import { SquashRevisionError, squashCommits } from '#domain/merge/squash-commits';
import { UserSquashErrorSchema } from '#wire/gen/operations_pb';
import type { Handlers } from '../dependencies.ts';
import { mergeConflictDetail } from '../error-details.ts';
import { requireFilled, requireUser, signingOf } from '../request-parts.ts';

/**
 * Makes one commit of all changes between two. No reference moves; only the nodes of a cluster
 * vote.
 */
export const userSquash: Handlers['userSquash'] = async (request, context, deps) => {
  const repository = deps.storages.open(request.repository);
  const user = requireUser(request.user, 'empty User');
  requireFilled(user.name, 'empty user name');
  requireFilled(user.email, 'empty user email');
  requireFilled(request.startSha, 'empty StartSha');
  requireFilled(request.endSha, 'empty EndSha');
  requireFilled(request.commitMessage, 'empty CommitMessage');
  const author = requireUser(request.author, 'empty Author');
  requireFilled(author.name, 'empty author name');
  requireFilled(author.email, 'empty author email');

  const squash = {
    start: request.startSha,
    end: request.endSha,
    user,
    author,
    seconds: request.timestamp?.seconds,
    message: request.commitMessage,
    signing: signingOf(request, context, deps),
  };
  const options = { vote: deps.voteOf(context), signal: context.signal };
  return { squashSha: await squashCommits(repository, squash, options).catch(refuse) };
};

function refuse(error: unknown): never {
  if (error instanceof SquashRevisionError) {
    const reason = { case: 'resolveRevision', value: { revision: Buffer.from(error.revision) } } as const;
    const details = [create(UserSquashErrorSchema, { error: reason })];
    throw invalidArgument(error.message, { details });
  }
  if (!(error instanceof MergeConflictError)) throw error;
  const reason = { case: 'rebaseConflict', value: mergeConflictDetail(error) } as const;
  const details = [create(UserSquashErrorSchema, { error: reason })];
  throw new GitalyError('FAILED_PRECONDITION', `squashing commits: ${error.message}`, {
    cause: error,
    details,
  });
}
