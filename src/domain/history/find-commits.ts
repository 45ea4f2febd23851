import { GitalyError, invalidArgument, wrap, wrapped } from '#base/gitaly-error';
import { flag, type GitOption, isRefused, joined, value } from '#git/command/git-command';
import type { GitExitError } from '#git/command/process/exit-error';
import { untilGitFails } from '#git/command/until-git-fails';
import { hasPlainSettings } from '#git/diff/plain-settings';
import { type LogEntry, logEntries } from '#git/history/log-entries';
import { type CommitOf, readCommits } from '#git/history/read-commits';
import { recentCommits } from '#git/history/recent-commits';
import type { Repository } from '#storage/repository';

/** A search of a history with the filters of `git log`. */
export interface CommitSearch {
  /** Empty for the default branch, or for all references with `all`. */
  readonly revision: Buffer;
  readonly all: boolean;
  readonly offset: number;
  readonly limit: number;
  readonly paths: readonly Uint8Array[];
  readonly literalPathspecs: boolean | undefined;
  readonly firstParent: boolean;
  readonly follow: boolean;
  readonly skipMerges: boolean;
  readonly topologicalOrder: boolean;
  readonly author: Uint8Array;
  readonly messageRegex: string;
  /** Dates as git reads them. */
  readonly before: string | undefined;
  readonly after: string | undefined;
  readonly trailers: boolean;
  readonly shortStats: boolean;
  /** Patterns of references that are listed with the commits that they lead to. */
  readonly referencedBy: readonly Uint8Array[];
}

export interface FindCommitsOptions {
  readonly signal: AbortSignal;
  /** True to apply `.mailmap` to authors and committers. */
  readonly mailmap: boolean;
}

/** The commits that a search finds, and the failure that ends the list. */
export interface FoundCommits {
  /** To be iterated once. */
  readonly batches: AsyncIterable<readonly CommitOf<LogEntry>[]>;
  /** Returns the failure of git, once the batches have been iterated. */
  failure(): Error | undefined;
}

/** git cannot resolve the revision of the search. */
export class UnknownCommitsError extends Error {
  override readonly name = 'UnknownCommitsError';
  override readonly cause: GitExitError;

  constructor(cause: GitExitError) {
    super('commits not found');
    this.cause = cause;
  }
}

/**
 * git's errors about an unknown revision. All other errors are failures of the call.
 *
 * @see Gitaly: find_commits.go
 */
const UNKNOWN_REVISION = [
  /^fatal: ambiguous argument '.*': unknown revision or path not in the working tree\./m,
  /^fatal: bad object [0-9a-g]/m,
  /^fatal: bad revision '.*'\n?$/,
  /^fatal: Invalid revision range [0-9a-g]+\.\.[0-9a-g]+/m,
];

/**
 * Searches a history. The beginning of a history without filters is read in process.
 *
 * @throws {GitalyError} INVALID_ARGUMENT `path is empty string`, `defaultBranchName: …`; when
 *   iterated `error when creating git log command: …`. The failure is an {UnknownCommitsError},
 *   INTERNAL `listing commits failed`, or the error of an aborted call.
 */
export async function findCommits(
  repository: Repository,
  search: CommitSearch,
  { signal, mailmap }: FindCommitsOptions,
): Promise<FoundCommits> {
  const { all, paths, literalPathspecs, follow, offset } = search;
  let { revision } = search;
  if (revision.length === 0 && !all) {
    const branch = repository.refs.defaultBranch({ signal });
    revision = (await branch.catch(wrapped('defaultBranchName'))) ?? revision;
  }
  if (paths.some((path) => path.length === 0)) throw invalidArgument('path is empty string');

  const revisions = revision.length === 0 && all ? [] : [revision];
  const query = { options: optionsOf(search), revisions, paths, literalPathspecs };
  const { trailers, shortStats, referencedBy } = search;
  const extras = { signal, trailers, shortStats, referencedBy };
  const recent = isPlain(repository, search)
    ? await firstCommits(repository, revision, search, signal)
    : undefined;
  const entries = recent === undefined ? logEntries(repository, query, extras) : [recent];
  let failure: GitExitError | undefined;
  const found = untilGitFails(entries, (error) => {
    failure = error;
  });
  const page = follow && offset > 0 ? skip(found, offset) : found;
  const commits = readCommits(repository.objects, page, { signal, mailmap });
  return { batches: unlessRefused(commits), failure: () => failure && explain(failure, signal) };
}

async function* unlessRefused<T>(batches: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* batches;
  } catch (error) {
    throw isRefused(error) ? wrap(error, 'error when creating git log command') : error;
  }
}

/** Reports whether a search has no order, extras or filters, but those of merges and paths. */
function isPlain(repository: Repository, search: CommitSearch): boolean {
  const { all, follow, topologicalOrder, trailers, shortStats, before, after } = search;
  if (all || follow || topologicalOrder || trailers || shortStats) return false;
  if (before !== undefined || after !== undefined) return false;
  const { author, paths, messageRegex, referencedBy } = search;
  // `log.follow` follows a single path.
  if (paths.length > 0 && !hasPlainSettings(repository, 'log')) return false;
  return [author, messageRegex, referencedBy].every(({ length }) => length === 0);
}

/** Reads the first commits of a history in process; `undefined` where that is not possible. */
async function firstCommits(
  repository: Repository,
  revision: Buffer,
  { offset, limit, firstParent, skipMerges, paths, literalPathspecs }: CommitSearch,
  signal: AbortSignal,
): Promise<LogEntry[] | undefined> {
  const revisions = [revision.toString('latin1')];
  const skip = Math.max(0, offset);
  const pages = { skip, maxCount: limit, firstParent, maxParents: skipMerges ? 1 : 0 };
  return await recentCommits(repository, { revisions, ...pages, paths, literalPathspecs }, { signal });
}

function optionsOf(search: CommitSearch): GitOption[] {
  const { limit, offset, follow, paths, author, before, after, messageRegex } = search;
  const options: GitOption[] = [];
  // git cannot skip while it follows a file, so the skipped commits are listed too. The sum has 32
  // bits, as in Gitaly.
  if (follow && offset > 0) options.push(joined('--max-count', (limit + offset) | 0));
  else {
    if (offset > 0) options.push(joined('--skip', offset));
    options.push(joined('--max-count', limit));
  }
  if (follow && paths.length > 0) options.push(flag('--follow'));
  if (author.length > 0) options.push(joined('--author', author));
  if (search.skipMerges) options.push(flag('--no-merges'));
  if (before !== undefined) options.push(joined('--before', before));
  if (after !== undefined) options.push(joined('--after', after));
  if (search.all) options.push(flag('--all'), flag('--reverse'));
  if (search.firstParent) options.push(flag('--first-parent'));
  if (search.topologicalOrder) options.push(flag('--topo-order'));
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
  if (UNKNOWN_REVISION.some((text) => text.test(error.stderr))) return new UnknownCommitsError(error);
  const metadata = { stderr: error.stderr };
  return new GitalyError('INTERNAL', 'listing commits failed', { metadata, cause: error });
}
