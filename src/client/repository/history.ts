import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { type ListCommitsRequestSchema, ListCommitsRequest_Order as Order } from '#wire/gen/commit_pb';
import type { CallOptions } from '../call/call-types.ts';
import { eachItem } from '../content/collect/each-item.ts';
import type { Place } from './place.ts';
import { type Commit, commitOf, type TextOrBytes, toBytes } from './values.ts';

/** The commits that {@link Repository.log} yields. */
export interface LogOptions extends CallOptions {
  /** Maximum number of commits. Default: all. */
  readonly limit?: number;
  readonly skip?: number;
  /** Only commits that change one of these files or directories. */
  readonly paths?: readonly TextOrBytes[];
  /** Only commits by an author whose name or address contains this. */
  readonly author?: TextOrBytes;
  readonly after?: Date;
  readonly before?: Date;
  /** Only commits whose message contains one of these texts. */
  readonly messages?: readonly TextOrBytes[];
  /** Follows only the first parent of merges. */
  readonly firstParent?: boolean;
  /** Leaves out merges. */
  readonly noMerges?: boolean;
  /** `date` (default): newest first; `topology`: no parent before its children. */
  readonly order?: 'date' | 'topology';
}

/** Yields commits from a revision or range (RPC ListCommits). */
export async function* log(
  { connection, repository }: Place,
  revision: string | readonly string[],
  options: LogOptions,
): AsyncGenerator<Commit, void, undefined> {
  if (options.limit === 0) return;
  const responses = connection.commit.listCommits({ repository, ...requestOf(revision, options) }, options);
  for await (const commit of eachItem(responses, ({ commits }) => commits)) yield commitOf(commit);
}

function requestOf(
  revision: string | readonly string[],
  options: LogOptions,
): Omit<Exclude<MessageInitShape<typeof ListCommitsRequestSchema>, Message>, 'repository'> {
  const { after, author, before, firstParent = false, limit, messages = [], noMerges, skip = 0 } = options;
  return {
    revisions: typeof revision === 'string' ? [revision] : [...revision],
    paths: (options.paths ?? []).map(toBytes),
    commitMessagePatterns: messages.map(toBytes),
    author: toBytes(author ?? ''),
    firstParent,
    skip,
    maxParents: noMerges === true ? 1 : 0,
    order: options.order === 'topology' ? Order.TOPO : Order.NONE,
    ...(limit !== undefined && { paginationParams: { limit } }),
    ...(after !== undefined && { after: timestampFromDate(after) }),
    ...(before !== undefined && { before: timestampFromDate(before) }),
  };
}
