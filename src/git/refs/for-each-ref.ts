import { flag, type GitCommand, type GitOption, gitCommand, joined, value } from '../command/git-command.ts';
import type { Arg } from '../command/spawner/spawner.ts';

/** Which references, in which order. */
export interface RefQuery {
  /** As `git for-each-ref` takes them (see {@link matchAsPath}). */
  readonly patterns: readonly Arg[];
  /** References that match one of these are left out. */
  readonly exclude?: readonly Uint8Array[];
  /** A key of `for-each-ref --sort`, `-` before it for the opposite order; equal ones are in the order of names. Default `refname`. */
  readonly sort?: string;
  readonly ignoreCase?: boolean;
  /** Only references that are, or peel to, one of these objects: any revision. */
  readonly pointsAt?: readonly Arg[];
  /** Only references from which this commit is reached. */
  readonly contains?: string;
  /** Only references that are reached from this commit. */
  readonly merged?: Arg;
  /** At most so many. */
  readonly limit?: number;
}

/** The command that prints one record for every reference of a query. @throws {GitalyError} for words that git must not see. */
export function forEachRef(query: RefQuery, format: string, options: { knowsExclude: boolean }): GitCommand {
  const words: GitOption[] = [flag(`--format=${format}`)];
  if (query.sort !== undefined) words.push(joined('--sort', query.sort));
  if (query.ignoreCase === true) words.push(flag('--ignore-case'));
  for (const revision of query.pointsAt ?? []) words.push(value('--points-at', revision));
  if (query.contains !== undefined) words.push(joined('--contains', query.contains));
  if (query.merged !== undefined) words.push(joined('--merged', query.merged));
  if (query.limit !== undefined) words.push(value('--count', query.limit));
  if (options.knowsExclude) for (const pattern of query.exclude ?? []) words.push(joined('--exclude', pattern));
  return gitCommand('for-each-ref', { options: words, args: query.patterns });
}
