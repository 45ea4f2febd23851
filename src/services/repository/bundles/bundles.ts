import { LoopSlice } from '#base/async/loop-turns';
import { GitalyError, wrap, wrapped } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { BundlePatterns } from '#domain/bundle/bundle-patterns';
import { bundleOfAll, bundleOfPatterns } from '#domain/bundle/create-bundle';
import { EmptyBundleError } from '#domain/bundle/empty-bundle-error';
import { fetchBundle as fetch } from '#domain/bundle/fetch-bundle';
import { cleanWorktrees } from '#domain/worktrees/clean-worktrees';
import { bundleStorageOf } from '#services/convert/request/bundle-uri';
import { allBytesOf, openRequests } from '#services/convert/request/first-request';
import { takeBytes } from '#services/convert/request/take-bytes';
import type { CreateBundleFromRefListRequest } from '#wire/gen/repository_pb';
import type { Handlers } from '../dependencies.ts';

/** Memory for the patterns of one call: hundreds of thousands of references. */
const MAX_PATTERN_BYTES = 64 * 1024 * 1024;

/** Streams a bundle of all references. */
export const createBundle: Handlers['createBundle'] = async function* (request, { signal }, deps) {
  const repository = deps.storages.open(request.repository);

  await cleanWorktrees(repository, { signal });
  try {
    const pieces = takeBytes(bundleOfAll(repository, { signal }), Number.POSITIVE_INFINITY);
    for await (const data of pieces) yield { data };
  } catch (error) {
    throw wrap(error, 'create bundle');
  }
};

/** Streams a bundle of the named references. */
export const createBundleFromRefList: Handlers['createBundleFromRefList'] = async function* (
  requests,
  { signal },
  deps,
) {
  const { first, rest } = await openRequests(requests);
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
};

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

/** Copies the references and objects of a bundle into a repository. */
export const fetchBundle: Handlers['fetchBundle'] = async (requests, context, deps) => {
  const opened = await openRequests(requests, 'first request: EOF');
  const { first } = opened;
  const repository = deps.storages.open(first.repository);

  const pieces = allBytesOf(opened, ({ data }) => data);
  const { updateHead } = first;
  const hooks = deps.transactionHooks(context);
  const options = { updateHead, hooks, signal: context.signal };
  await fetch(repository, pieces, options).catch(wrapped('fetch bundle'));
  return {};
};

/** Stores a bundle of the default branch for clones. */
export const generateBundleURI: Handlers['generateBundleURI'] = async (
  request,
  context,
  { storages, bundleUris },
) => {
  if (bundleUris === undefined)
    throw new GitalyError('FAILED_PRECONDITION', 'no bundle-generation manager available');
  const repository = storages.open(request.repository);
  const options = { storageName: bundleStorageOf(repository, context), signal: context.signal };
  await bundleUris.generate(repository, options).catch(wrapped('generate bundle'));
  return {};
};
