import { flag, type GitOption, gitCommand, joined } from '../command/git-command.ts';
import { outputLines } from '../command/output.ts';
import type { NamedObject } from '../objects/read-many.ts';
import { revListFailure } from '../objects/rev-list-failure.ts';
import { revisionInput } from '../objects/revision-input.ts';
import type { GitRepository } from '../repository.ts';
import { recentCommits } from './recent-commits.ts';

/** Selection and order of commits, as in `git rev-list`. */
export interface RevListQuery {
  /** Revisions and pseudo-revisions, checked by the caller. */
  readonly revisions: readonly (string | Uint8Array)[];
  readonly order?: 'topo' | 'date' | undefined;
  /** Oldest first; applied after `skip` and `maxCount`. */
  readonly reverse?: boolean;
  /** 0 means any number. */
  readonly maxParents?: number;
  /** Lists only the named commits. Has no effect with `maxCount`. */
  readonly noWalk?: boolean;
  readonly firstParent?: boolean;
  /** A date in git's format. */
  readonly before?: string | undefined;
  readonly after?: string | undefined;
  /** Regular expressions. */
  readonly author?: Uint8Array | undefined;
  readonly messagePatterns?: readonly Uint8Array[];
  readonly ignoreCase?: boolean;
  readonly skip?: number;
  readonly maxCount?: number | undefined;
  readonly paths?: readonly Uint8Array[];
  readonly literalPathspecs?: boolean;
}

/** Without it git writes every line separately. */
export const WRITE_FULL_BUFFERS = { GIT_FLUSH: '0' } as const;

/**
 * Walks the history from revisions and yields the ids of the commits, in batches as git prints
 * them. A slow reader slows git down; a reader that stops early ends it. For a short list git is
 * not started.
 *
 * @throws {GitalyError} without a code, see {@link revListFailure}.
 */
export async function* revList(
  repository: GitRepository,
  query: RevListQuery,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): AsyncGenerator<NamedObject[], void, undefined> {
  const short = await shortList(repository, query, signal);
  if (short !== undefined) {
    if (short.length > 0) yield short;
    return;
  }
  try {
    const { stdin, words } = revisionInput(repository.git, query.revisions);
    const command = gitCommand('rev-list', {
      // --stdin comes first, because it is read at its position: `^x` starts a walk even with
      // --no-walk, if that comes after it.
      options: [flag('--stdin'), ...optionsOf(query)],
      revisions: words,
      endOfRevisions: true,
      paths: query.paths ?? [],
      literalPathspecs: query.literalPathspecs ?? false,
    });
    for await (const lines of outputLines(repository, command, {
      signal,
      input: stdin,
      env: WRITE_FULL_BUFFERS,
    })) {
      yield lines.map((line) => ({ oid: line.toString('latin1') }));
    }
  } catch (error) {
    throw revListFailure(error);
  }
}

/** Lists the commits in process; `undefined` where only git can. */
async function shortList(
  repository: GitRepository,
  query: RevListQuery,
  signal: AbortSignal | undefined,
): Promise<NamedObject[] | undefined> {
  const { revisions, maxCount, messagePatterns = [], paths, literalPathspecs } = query;
  const { skip = 0, firstParent = false, maxParents = 0, reverse = false } = query;
  const isConditional = [query.order, query.before, query.after, query.author].some(
    (condition) => condition !== undefined,
  );
  if (isConditional || query.noWalk === true || messagePatterns.length > 0) return undefined;
  const names = revisions.map((revision) =>
    typeof revision === 'string' ? revision : Buffer.from(revision).toString('latin1'),
  );
  const order = { skip, maxCount, firstParent, maxParents, reverse };
  const recent = { revisions: names, ...order, ...(paths && { paths, literalPathspecs }) };
  return await recentCommits(repository, recent, { signal });
}

function optionsOf(query: RevListQuery): GitOption[] {
  const options: GitOption[] = [];
  if (query.order !== undefined) options.push(flag(`--${query.order}-order`));
  if (query.reverse === true) options.push(flag('--reverse'));
  if (query.maxParents !== undefined && query.maxParents > 0)
    options.push(joined('--max-parents', query.maxParents));
  if (query.noWalk === true) options.push(flag('--no-walk'));
  if (query.firstParent === true) options.push(flag('--first-parent'));
  if (query.before !== undefined) options.push(joined('--before', query.before));
  if (query.after !== undefined) options.push(joined('--after', query.after));
  if (query.author !== undefined) options.push(joined('--author', query.author));
  if (query.ignoreCase === true) options.push(flag('--regexp-ignore-case'));
  for (const pattern of query.messagePatterns ?? []) options.push(joined('--grep', pattern));
  if (query.skip !== undefined && query.skip > 0) options.push(joined('--skip', query.skip));
  if (query.maxCount !== undefined) options.push(joined('--max-count', query.maxCount));
  return options;
}
