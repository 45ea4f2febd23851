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

/** A call's options, which hold for each page's call by itself, and the most items of one page (default 1000). */
export interface PageOptions extends CallOptions {
  readonly pageSize?: number;
}

type Items<T> = AsyncGenerator<T, void, undefined>;
/** A request as a plain object, without what says which page. */
type Unpaged<Desc extends DescMessage> = Omit<Exclude<MessageInitShape<Desc>, Message>, 'paginationParams'>;

const PAGE_SIZE = 1000;

/** References (RPC ListRefs, whose pages are new in 19.0: older servers give all at once). HEAD comes once, in front. */
function refs(
  connection: Connection,
  request: Unpaged<typeof ListRefsRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<ListRefsResponse_Reference> {
  return allPages((pageToken) => {
    const head = request.head === true && pageToken === '';
    const call = connection.ref.listRefs({ ...request, head, paginationParams: { limit, pageToken } }, options);
    return pageByCursor(call, ({ references }) => references);
  });
}

/** Branches with their tips (RPC FindLocalBranches). A branch whose name is no UTF-8 cannot be the last one of a page. */
function localBranches(
  connection: Connection,
  request: Unpaged<typeof FindLocalBranchesRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<LocalBranch> {
  return allPages((pageToken) => {
    const call = connection.ref.findLocalBranches({ ...request, paginationParams: { limit, pageToken } }, options);
    return pageByLast(localBranchesOf(call), limit, ({ name }) => Buffer.from(name).toString());
  });
}

/** Tags (RPC FindAllTags). A tag whose name is no UTF-8 cannot be the last one of a page. */
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

/** What is in a directory of a revision (RPC GetTreeEntries). The top directory is the path `.`. */
function treeEntries(
  connection: Connection,
  request: Unpaged<typeof GetTreeEntriesRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<TreeEntry> {
  return allPages((pageToken) => {
    const call = connection.commit.getTreeEntries({ ...request, paginationParams: { limit, pageToken } }, options);
    return pageByCursor(call, ({ entries }) => entries);
  });
}

/** Commits (RPC ListCommits). The walk begins anew for each page, so that pages far down a long history cost more. */
function commits(
  connection: Connection,
  request: Unpaged<typeof ListCommitsRequestSchema>,
  { pageSize: limit = PAGE_SIZE, ...options }: PageOptions = {},
): Items<GitCommit> {
  return allPages((pageToken) => {
    const call = connection.commit.listCommits({ ...request, paginationParams: { limit, pageToken } }, options);
    const items = eachItem(call, (response) => response.commits);
    return pageByLast(items, limit, ({ id }) => id); // servers before 19.0 give no cursor; the token is the commit either way
  });
}

/**
 * Long lists as one loop: `for await (const tag of paginate.tags(connection, { repository }))`. Each page is a call of its own, so that
 * no call runs while the loop's body takes its time over a page that has arrived. A list that changes meanwhile may be seen in part.
 *
 * @throws {CallError} the status of a page's call, by the loop.
 */
export const paginate = Object.freeze({ refs, localBranches, tags, treeEntries, commits });
