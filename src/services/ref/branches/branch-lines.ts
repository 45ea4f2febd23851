import { GitalyError } from '#base/gitaly-error';
import type { Commit } from '#git/objects/parse/parse-commit';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import { type RefCommit, readRefCommits } from '#git/refs/list/read-ref-objects';
import type { ListedRef } from '#git/refs/storage/listed-ref';
import type { HandlerContext } from '#rpc/server/handler';
import { usesMailmap } from '#services/convert/request/feature-flags';
import {
  cutPage,
  inLines,
  itemsOf,
  type PageBounds,
  type PagePart,
  pageOf,
} from '#services/convert/request/pagination';
import type { Repository } from '#storage/repository';
import { findingError, startList } from '../listing-error.ts';

export interface BranchCommit {
  readonly ref: ListedRef;
  readonly commit: Commit;
}

/**
 * Lists references with the commits that they lead to, as many at once as travel in one message.
 *
 * @throws {GitalyError} INTERNAL `finding refs: …`, for a reference that leads to no commit after
 *   the messages before it.
 */
export async function* branchLines(
  repository: Repository,
  query: RefQuery,
  { context, page = pageOf(undefined) }: { readonly context: HandlerContext; readonly page?: PageBounds },
): AsyncGenerator<BranchCommit[], void> {
  const { signal } = context;
  try {
    const list = cutPage(
      startList(() => repository.refs.list(query, { signal })),
      page,
    );
    const commits = readRefCommits(repository.objects, itemsOf(list), {
      mailmap: usesMailmap(context),
      signal,
    });
    for await (const { items } of inLines(partsOf(commits))) yield items.map(checked);
  } catch (error) {
    throw findingError(error);
  }
}

async function* partsOf<T>(batches: AsyncIterable<readonly T[]>): AsyncGenerator<PagePart<T>, void> {
  for await (const items of batches) yield { items };
}

/** @throws {GitalyError} without a code, when there is no commit. */
function checked({ ref, commit }: RefCommit): BranchCommit {
  if (commit === undefined) throw new GitalyError('UNKNOWN', 'sending lines: object not found');
  return { ref, commit };
}
