import { type TextOrBytes, timestamp, toBytes } from '#client/repository/values';
import type { FindCommitsRequest_Order, ListCommitsRequest } from '#wire/gen/commit_pb';
import { GetTreeEntriesRequest_SortBy } from '#wire/gen/commit_pb';
import { literalPaths } from './storage-calls.ts';

/** Range of the dates of commits. */
interface Period {
  readonly after?: Date;
  readonly before?: Date;
}

/** The commits that a log shows. */
export interface FindCommitsOptions extends Period {
  /** Maximum number of commits; a negative one means all. */
  readonly limit: number;
  /** Number of commits to leave out at the start. */
  readonly offset?: number;
  /** Default: the default branch. */
  readonly revision?: TextOrBytes;
  /** Only commits that change one of these paths. */
  readonly paths?: readonly TextOrBytes[];
  /** Takes paths literally, without wildcards. */
  readonly literalPathspec?: boolean;
  /** Follows renames of a single path. */
  readonly follow?: boolean;
  readonly skipMerges?: boolean;
  readonly firstParent?: boolean;
  /** Commits of all references. */
  readonly all?: boolean;
  /** Regular expression on the author. */
  readonly author?: TextOrBytes;
  readonly order?: FindCommitsRequest_Order;
  /** Reads the trailers of messages, too. */
  readonly trailers?: boolean;
  /** Patterns of references that `GitCommit.referencedBy` names. */
  readonly includeReferencedBy?: readonly TextOrBytes[];
}

/** Range of a list, as in requests of ListCommits. */
export interface ListCommitsOptions
  extends Period,
    Partial<
      Pick<ListCommitsRequest, 'firstParent' | 'ignoreCase' | 'maxParents' | 'order' | 'reverse' | 'skip'>
    > {
  readonly limit?: number;
  /** The id of the last commit of the previous page. */
  readonly pageToken?: string;
  readonly paths?: readonly TextOrBytes[];
  /** Regular expression on the author. */
  readonly author?: TextOrBytes;
  /** Regular expressions on the message, one of which has to match. */
  readonly commitMessagePatterns?: readonly TextOrBytes[];
}

/** The commits that are counted. */
export interface CountOptions extends Period {
  readonly path?: TextOrBytes;
  /** Where counting ends; 0 means no limit. */
  readonly maxCount?: number;
  readonly all?: boolean;
  readonly firstParent?: boolean;
}

/** Range of a directory's entries. */
export interface TreeEntriesOptions {
  readonly recursive?: boolean;
  readonly limit?: number;
  readonly pageToken?: string;
  /** Leaves out `flatPath`, for which the server reads each directory. */
  readonly skipFlatPaths?: boolean;
}

/** Limit of entries when the caller gives none. @see GitLab: TREE_ENTRIES_DEFAULT_LIMIT */
const MAX_TREE_ENTRIES = 100_000;

export function findCommitsFields(options: FindCommitsOptions) {
  const { after, before, paths = [], literalPathspec = false, ...others } = options;
  const { author = '', revision = '', includeReferencedBy = [] } = options;
  return {
    ...others,
    ...periodFields({ after, before }),
    ...literalPaths(literalPathspec),
    revision: toBytes(revision),
    author: toBytes(author),
    paths: paths.map(toBytes),
    includeReferencedBy: includeReferencedBy.map(toBytes),
    disableWalk: true, // as Rails sends it to servers of 15.0
  };
}

export function listCommitsFields(options: ListCommitsOptions) {
  const { limit, pageToken = '', after, before, ...others } = options;
  const { paths = [], author = '', commitMessagePatterns = [] } = options;
  const isPaged = limit !== undefined || pageToken !== '';
  return {
    ...others,
    ...periodFields({ after, before }),
    paths: paths.map(toBytes),
    author: toBytes(author),
    commitMessagePatterns: commitMessagePatterns.map(toBytes),
    ...(isPaged && { paginationParams: { limit: limit ?? -1, pageToken } }),
  };
}

export function countFields({ path = '', after, before, ...others }: CountOptions) {
  return { ...others, ...periodFields({ after, before }), path: toBytes(path) };
}

export function treeEntriesFields(
  revision: TextOrBytes,
  path: TextOrBytes,
  { recursive = false, limit, pageToken, skipFlatPaths = false }: TreeEntriesOptions,
) {
  const isWhole = recursive && limit === undefined && pageToken === undefined;
  return {
    revision: toBytes(revision),
    path: toBytes(path.length === 0 ? '.' : path),
    recursive,
    skipFlatPaths,
    ...(!isWhole && {
      sort: GetTreeEntriesRequest_SortBy.TREES_FIRST,
      paginationParams: { limit: limit ?? MAX_TREE_ENTRIES, pageToken: pageToken ?? '' },
    }),
  };
}

function periodFields({ after, before }: { after: Date | undefined; before: Date | undefined }) {
  return {
    ...(after !== undefined && { after: timestamp(after) }),
    ...(before !== undefined && { before: timestamp(before) }),
  };
}
