import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { GitalyError, wrap } from '#base/gitaly-error';
import type { GitExitError } from '#git/command/exit-error';
import { flag, type GitOption, isRefused, joined, value } from '#git/command/git-command';
import { type LogEntry, logEntries } from '#git/history/log-entries';
import { readCommits } from '#git/history/read-commits';
import { recentCommits } from '#git/history/recent-commits';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import {
  FindCommitsErrorSchema,
  type FindCommitsRequest,
  FindCommitsRequest_Order,
  FindCommitsResponseSchema,
} from '#wire/gen/commit_pb';
import { usesMailmap } from '../convert/feature-flags.ts';
import { requireRevision } from '../convert/revision.ts';
import { untilGitFails } from '../convert/until-git-fails.ts';
import { commitMessages, commitsResponse, encodeCommits } from './encode-commits.ts';
import { protobufText } from './git-dates.ts';
import type { CommitRooms } from './index.ts';

/** What git says of a revision that is not there; all other failures are failures of the call. @see Gitaly: find_commits.go */
const NOT_FOUND = [
  /^fatal: ambiguous argument '.*': unknown revision or path not in the working tree\./m,
  /^fatal: bad object [0-9a-g]/m,
  /^fatal: bad revision '.*'\n?$/,
  /^fatal: Invalid revision range [0-9a-g]+\.\.[0-9a-g]+/m,
];

/** Lists the history of a revision (the default branch without one) with the filters of `git log`: the page of a project's commits. */
export async function* findCommits(
  request: FindCommitsRequest,
  context: HandlerContext,
  rooms: CommitRooms,
): AsyncGenerator<MessageInitShape<typeof FindCommitsResponseSchema>> {
  const repository = rooms.storages.open(request.repository);
  let revision = requireRevision(request.revision, { allowEmpty: true });
  const { signal } = context;
  if (revision.length === 0 && !request.all) revision = (await defaultBranch(repository, signal)) ?? revision;
  if (request.paths.some((path) => path.length === 0)) throw new GitalyError('INVALID_ARGUMENT', 'path is empty string');

  const query = {
    options: optionsOf(request),
    revisions: revision.length === 0 && request.all ? [] : [revision],
    paths: request.paths,
    literalPathspecs: request.globalOptions?.literalPathspecs,
  };
  const extras = {
    signal,
    trailers: request.trailers,
    shortStats: request.includeShortstat,
    referencedBy: request.includeReferencedBy,
  };
  const recent = isPlain(request) ? await beginning(repository, revision, request, signal) : undefined;
  const entries = recent === undefined ? logEntries(repository.git, repository, query, extras) : [recent];
  let failure: GitExitError | undefined;
  const found = untilGitFails(entries, (error) => {
    failure = error;
  });
  const page = request.follow && request.offset > 0 ? skip(found, request.offset) : found;
  const commits = readCommits(repository.objects, page, { signal, mailmap: usesMailmap(context) });
  try {
    for await (const chunk of encodeCommits(commitMessages(commits))) yield commitsResponse(FindCommitsResponseSchema, chunk);
  } catch (error) {
    throw isRefused(error) ? wrap(error, 'error when creating git log command') : error;
  }
  // What git found before it failed has been sent.
  if (failure !== undefined) throw explain(failure, signal);
}

/** Whether a request asks for nothing but the first commits of a history. */
function isPlain(request: FindCommitsRequest): boolean {
  const { all, author, before, after, paths, follow, skipMerges, order, messageRegex, includeReferencedBy } = request;
  if (all || follow || skipMerges || request.trailers || request.includeShortstat || order !== FindCommitsRequest_Order.NONE)
    return false;
  if (author.length > 0 || paths.length > 0 || messageRegex !== '' || includeReferencedBy.length > 0) return false;
  return before === undefined && after === undefined;
}

/** The first commits of a history without a start of git, where that is possible. */
async function beginning(
  repository: Repository,
  revision: Buffer,
  { offset, limit, firstParent }: FindCommitsRequest,
  signal: AbortSignal,
): Promise<LogEntry[] | undefined> {
  const query = { revisions: [revision.toString('latin1')], skip: Math.max(0, offset), maxCount: limit, firstParent };
  return await recentCommits(repository.git, repository, query, { signal });
}

async function defaultBranch({ refs }: Repository, signal: AbortSignal): Promise<Buffer | undefined> {
  try {
    return await refs.defaultBranch({ signal });
  } catch (error) {
    throw wrap(error, 'defaultBranchName');
  }
}

function optionsOf(request: FindCommitsRequest): GitOption[] {
  const { limit, offset, follow, paths, author, before, after, messageRegex } = request;
  const options: GitOption[] = [];
  // git cannot skip while it follows a file, so as many more are asked for. The sum is one of 32 bits, as ever.
  if (follow && offset > 0) options.push(joined('--max-count', (limit + offset) | 0));
  else {
    if (offset > 0) options.push(joined('--skip', offset));
    options.push(joined('--max-count', limit));
  }
  if (follow && paths.length > 0) options.push(flag('--follow'));
  if (author.length > 0) options.push(joined('--author', author));
  if (request.skipMerges) options.push(flag('--no-merges'));
  if (before !== undefined) options.push(joined('--before', protobufText(before)));
  if (after !== undefined) options.push(joined('--after', protobufText(after)));
  if (request.all) options.push(flag('--all'), flag('--reverse'));
  if (request.firstParent) options.push(flag('--first-parent'));
  if (request.order === FindCommitsRequest_Order.TOPO) options.push(flag('--topo-order'));
  if (messageRegex !== '') options.push(value('--grep', messageRegex), flag('--regexp-ignore-case'));
  return options;
}

async function* skip<T>(batches: AsyncIterable<readonly T[]>, count: number): AsyncGenerator<readonly T[]> {
  let left = count;
  for await (const batch of batches) {
    if (batch.length > left) yield batch.slice(left);
    left = Math.max(0, left - batch.length);
  }
}

function explain(error: GitExitError, signal: AbortSignal): Error {
  if (signal.aborted) return error;
  const options = { metadata: { stderr: error.stderr }, cause: error };
  if (!NOT_FOUND.some((words) => words.test(error.stderr))) return new GitalyError('INTERNAL', 'listing commits failed', options);
  return new GitalyError('NOT_FOUND', 'commits not found', { ...options, details: [create(FindCommitsErrorSchema)] });
}
