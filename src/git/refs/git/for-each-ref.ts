import { flag, type GitCommand, type GitOption, gitCommand, joined, value } from '#git/command/git-command';
import type { Arg } from '#git/command/spawner/spawner';

/** Number of patterns that cost little for each reference, and their length together. */
const MAX_PATTERNS = 256;
const MAX_PATTERN_BYTES = 8192;
/** Limit with more patterns: clients wait no longer for a list. 4,000 for 20,000 names take 10 s. */
const MAX_CPU_SECONDS = 30;

/** Selection and order of references. */
export interface RefQuery {
  /** Patterns of `git for-each-ref` (see {@link matchAsPath}). */
  readonly patterns: readonly Arg[];
  /** Excludes references that match one of these. */
  readonly exclude?: readonly Uint8Array[];
  /**
   * A key of `for-each-ref --sort`, preceded by `-` for the opposite order; equal ones are in the
   * order of names. Default `refname`.
   */
  readonly sort?: string;
  readonly ignoreCase?: boolean;
  /** Lists only references that are, or peel to, one of these objects: any revision. */
  readonly pointsAt?: readonly Arg[];
  /** Lists only references from which this commit is reachable. */
  readonly contains?: string;
  /** Lists only references that are reachable from this commit. */
  readonly merged?: Arg;
  readonly limit?: number;
}

/**
 * Returns the command that prints one record for every reference of a query. @throws {GitalyError}
 * for words that git must not receive.
 */
export function forEachRef(query: RefQuery, format: string, options: { knowsExclude: boolean }): GitCommand {
  const words: GitOption[] = [flag(`--format=${format}`)];
  if (query.sort !== undefined) words.push(joined('--sort', query.sort));
  if (query.ignoreCase === true) words.push(flag('--ignore-case'));
  for (const revision of query.pointsAt ?? []) words.push(value('--points-at', revision));
  if (query.contains !== undefined) words.push(joined('--contains', query.contains));
  if (query.merged !== undefined) words.push(joined('--merged', query.merged));
  if (query.limit !== undefined) words.push(value('--count', query.limit));
  if (options.knowsExclude)
    for (const pattern of query.exclude ?? []) words.push(joined('--exclude', pattern));
  return gitCommand('for-each-ref', { options: words, args: query.patterns });
}

/**
 * Reports whether patterns may be matched in process: each name is compared with each of them, and
 * a client chooses how many there are. git does it outside of the event loop.
 */
export function hasFewPatterns({ patterns, exclude = [] }: RefQuery): boolean {
  const all = [...patterns, ...exclude];
  const bytes = all.reduce((sum, pattern) => sum + pattern.length, 0);
  return all.length <= MAX_PATTERNS && bytes <= MAX_PATTERN_BYTES;
}

/**
 * Returns the CPU time that git may use for a query: a client determines the number of patterns,
 * and git compares each reference with each of them. Without many patterns there is no limit.
 */
export function maxCpuSecondsOf(query: RefQuery): number | undefined {
  return hasFewPatterns(query) ? undefined : MAX_CPU_SECONDS;
}
