import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError, wrap } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { BundlePatterns } from '#domain/bundle/bundle-patterns';
import { bundleOfPatterns } from '#domain/bundle/create-bundle';
import { EmptyBundleError } from '#domain/bundle/empty-bundle-error';
import { cleanWorktrees } from '#domain/worktrees/clean-worktrees';
import type { HandlerContext, ResponsesOf } from '#rpc/server/handler';
import { openRequests } from '#services/convert/request/first-request';
import { takeBytes } from '#services/convert/request/take-bytes';
import type {
  CreateBundleFromRefListRequest,
  CreateBundleFromRefListResponseSchema,
} from '#wire/gen/repository_pb';
import type { RepositoryDependencies } from '../dependencies.ts';

/** Memory for the patterns of one call: hundreds of thousands of references. */
const MAX_PATTERN_BYTES = 64 * 1024 * 1024;

/** Streams a bundle of the named references. */
export async function* createBundleFromRefList(
  requests: AsyncIterable<CreateBundleFromRefListRequest>,
  { signal }: HandlerContext,
  deps: RepositoryDependencies,
): ResponsesOf<typeof CreateBundleFromRefListResponseSchema> {
  const { first, rest } = await openRequests(requests);
  if (first === undefined) throw new GitalyError('INTERNAL', 'EOF');
  const repository = deps.storages.open(first.repository);

  await cleanWorktrees(repository, { signal });
  const patterns = new BundlePatterns(repository.objectFormat);
  await collect(first, rest, patterns);
  try {
    const pieces = takeBytes(bundleOfPatterns(repository, patterns, { signal }), Number.POSITIVE_INFINITY);
    for await (const data of pieces) yield { data };
  } catch (error) {
    const code = error instanceof EmptyBundleError ? 'FAILED_PRECONDITION' : 'INTERNAL';
    throw wrap(error, 'create bundle', code);
  }
}

async function collect(
  first: CreateBundleFromRefListRequest,
  rest: AsyncIterable<CreateBundleFromRefListRequest>,
  to: BundlePatterns,
): Promise<void> {
  using held = new HeldBytes(MAX_PATTERN_BYTES, 'patterns');
  const slice = new LoopSlice();
  const take = async (request: CreateBundleFromRefListRequest): Promise<void> => {
    for (const pattern of request.patterns) {
      if (slice.isOver) await slice.pause();
      held.add(pattern);
      to.add(pattern);
    }
  };
  await take(first);
  for await (const request of rest) await take(request);
}
