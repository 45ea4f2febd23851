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
import { allPages, pageByCursor, pageByLast } from './paginate/pages.ts';

/** Options of each page's call, and the maximum number of items per page (default 1000). */
export interface PageOptions extends CallOptions {
  readonly pageSize?: number;
}

type Items<T> = AsyncGenerator<T, void, undefined>;
/** A request as a plain object, without the page parameters. */
type Unpaged<Desc extends DescMessage> = Omit<Exclude<MessageInitShape<Desc>, Message>, 'paginationParams'>;

const PAGE_SIZE = 1000;

/**
 * Yields references (RPC ListRefs, whose pages are new in 19.0: older servers return all at once).
 * HEAD comes once, first.
 */
function refs(
  connection: Connection,
  request: Unpaged<typeof ListRefsRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<ListRefsResponse_Reference> {
  return allPages((pageToken) => {
    const head = request.head === true && pageToken === '';
    const call = connection.ref.listRefs(
      { ...request, head, paginationParams: { limit, pageToken } },
      options,
    );
    return pageByCursor(call, ({ references }) => references);
  });
}

/**
 * Yields branches with their tips (RPC FindLocalBranches). A branch whose name is not UTF-8 cannot
 * be the last one of a page.
 */
function localBranches(
  connection: Connection,
  request: Unpaged<typeof FindLocalBranchesRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<LocalBranch> {
  return allPages((pageToken) => {
    const call = connection.ref.findLocalBranches(
      { ...request, paginationParams: { limit, pageToken } },
      options,
    );
    return pageByLast(localBranchesOf(call), limit, ({ name }) => Buffer.from(name).toString());
  });
}

/**
 * Yields tags (RPC FindAllTags). A tag whose name is not UTF-8 cannot be the last one of a page.
 */
function tags(
  connection: Connection,
  request: Unpaged<typeof FindAllTagsRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<Tag> {
  return allPages((pageToken) => {
    const call = connection.ref.findAllTags({ ...request, paginationParams: { limit, pageToken } }, options);
    const items = eachItem(call, (response) => response.tags);
    return pageByLast(items, limit, ({ name }) => `refs/tags/${Buffer.from(name)}`);
  });
}

/**
 * Yields the entries of a directory of a revision (RPC GetTreeEntries). The top directory is the
 * path `.`.
 */
function treeEntries(
  connection: Connection,
  request: Unpaged<typeof GetTreeEntriesRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<TreeEntry> {
  return allPages((pageToken) => {
    const call = connection.commit.getTreeEntries(
      { ...request, paginationParams: { limit, pageToken } },
      options,
    );
    return pageByCursor(call, ({ entries }) => entries);
  });
}

/**
 * Yields commits (RPC ListCommits). The walk restarts for each page, so late pages of a long
 * history cost more.
 */
function commits(
  connection: Connection,
  request: Unpaged<typeof ListCommitsRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<GitCommit> {
  return allPages((pageToken) => {
    const call = connection.commit.listCommits(
      { ...request, paginationParams: { limit, pageToken } },
      options,
    );
    const items = eachItem(call, (response) => response.commits);
    // servers before 19.0 return no cursor; the token is the commit in either case
    return pageByLast(items, limit, ({ id }) => id);
  });
}

/**
 * Reads a long list in one loop: `for await (const tag of paginate.tags(connection, { repository
 * }))`. Each page is a separate call, so no call runs while the loop processes a page. A list that
 * changes meanwhile may be incomplete.
 *
 * The loop throws the `CallError` of a page's call.
 */
export const paginate = Object.freeze({ refs, localBranches, tags, treeEntries, commits });
