import type { DescMessage, Message, MessageInitShape } from '@bufbuild/protobuf';
import type { GetTreeEntriesRequestSchema, ListCommitsRequestSchema, TreeEntry } from '#wire/gen/commit_pb';
import type {
  FindAllTagsRequestSchema,
  FindLocalBranchesRequestSchema,
  ListRefsRequestSchema,
  ListRefsResponse_Reference,
} from '#wire/gen/ref_pb';
import type { GitCommit, Tag } from '#wire/gen/shared_pb';
import type { CallOptions } from '../call/call-types.ts';
import type { Connection } from '../connection.ts';
import { eachItem } from './collect/each-item.ts';
import { type LocalBranch, localBranches as localBranchesOf } from './collect/local-branches.ts';
import { allPages, type Page, pageByCursor, pageByLast } from './paginate/pages.ts';

/** Options of each page's call, and the maximum number of items per page (default 1000). */
export interface PageOptions extends CallOptions {
  readonly pageSize?: number;
}

type Items<T> = AsyncGenerator<T, void, undefined>;
/** A request as a plain object, without the page parameters. */
type Unpaged<Desc extends DescMessage> = Omit<Exclude<MessageInitShape<Desc>, Message>, 'paginationParams'>;

const PAGE_SIZE = 1000;

/** A request for one page. */
type Paged<Desc extends DescMessage> = Unpaged<Desc> & {
  readonly paginationParams: { readonly limit: number; readonly pageToken: string };
};

/** Returns a function that yields the items of all pages, of which `read` reads one with a call. */
function pages<Desc extends DescMessage, T>(
  read: (connection: Connection, request: Paged<Desc>, options: CallOptions) => Page<T>,
) {
  return (
    connection: Connection,
    request: Unpaged<Desc>,
    { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
  ): Items<T> =>
    allPages((pageToken) =>
      read(connection, { ...request, paginationParams: { limit, pageToken } }, options),
    );
}

/**
 * Yields references (RPC ListRefs, whose pages are new in 19.0: older servers return all at once).
 * HEAD comes once, first.
 */
const refs = pages<typeof ListRefsRequestSchema, ListRefsResponse_Reference>(
  (connection, request, options) => {
    const head = request.head === true && request.paginationParams.pageToken === '';
    return pageByCursor(
      connection.ref.listRefs({ ...request, head }, options),
      ({ references }) => references,
    );
  },
);

/**
 * Yields branches with their tips (RPC FindLocalBranches). A branch whose name is not UTF-8 cannot
 * be the last one of a page.
 */
const localBranches = pages<typeof FindLocalBranchesRequestSchema, LocalBranch>(
  (connection, request, options) => {
    const items = localBranchesOf(connection.ref.findLocalBranches(request, options));
    return pageByLast(items, request.paginationParams.limit, ({ name }) => Buffer.from(name).toString());
  },
);

/**
 * Yields tags (RPC FindAllTags). A tag whose name is not UTF-8 cannot be the last one of a page.
 */
const tags = pages<typeof FindAllTagsRequestSchema, Tag>((connection, request, options) => {
  const items = eachItem(connection.ref.findAllTags(request, options), (response) => response.tags);
  return pageByLast(items, request.paginationParams.limit, ({ name }) => `refs/tags/${Buffer.from(name)}`);
});

/**
 * Yields the entries of a directory of a revision (RPC GetTreeEntries). The top directory is the
 * path `.`.
 */
const treeEntries = pages<typeof GetTreeEntriesRequestSchema, TreeEntry>((connection, request, options) =>
  pageByCursor(connection.commit.getTreeEntries(request, options), ({ entries }) => entries),
);

/**
 * Yields commits (RPC ListCommits). The walk restarts for each page, so late pages of a long
 * history cost more.
 */
const commits = pages<typeof ListCommitsRequestSchema, GitCommit>((connection, request, options) => {
  const items = eachItem(connection.commit.listCommits(request, options), (response) => response.commits);
  // servers before 19.0 return no cursor; the token is the commit in either case
  return pageByLast(items, request.paginationParams.limit, ({ id }) => id);
});

/**
 * Reads a long list in one loop: `for await (const tag of paginate.tags(connection, { repository
 * }))`. Each page is a separate call, so no call runs while the loop processes a page. A list that
 * changes meanwhile may be incomplete.
 *
 * The loop throws the `CallError` of a page's call.
 */
export const paginate = Object.freeze({ refs, localBranches, tags, treeEntries, commits });
