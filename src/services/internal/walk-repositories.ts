import { timestampFromDate } from '@bufbuild/protobuf/wkt';
import { invalidArgument, withCode, wrap } from '#base/gitaly-error';
import { HeldBytes } from '#base/memory/held-bytes';
import { remoteIpOf } from '#services/convert/request/push-context';
import { walkRepositories } from '#storage/walk-repositories';
import type { ListPoolUpstreamsRequest } from '#wire/gen/internal_pb';
import type { Handlers } from './dependencies.ts';
import { storageNamed } from './storage-named.ts';

/** GitLab's limit of the pools in one request. */
const BATCH = 500;
/** Memory for the pools of one call: a million of them. */
const MAX_POOL_BYTES = 256 * 1024 * 1024;

/**
 * Returns the public upstream of each pool, from GitLab. Pools without one, or with several, are
 * omitted.
 */
export const listPoolUpstreams: Handlers['listPoolUpstreams'] = async function* (requests, context, { api }) {
  const { storageName, given } = await readRequests(requests);
  const call = {
    signal: context.signal,
    correlationId: context.correlationId,
    remoteIp: remoteIpOf(context),
  };
  const upstreams: Record<string, string> = {};
  const trimmed = [...given.keys()];
  for (let start = 0; start < trimmed.length; start += BATCH) {
    const query = { storageName, poolPaths: trimmed.slice(start, start + BATCH) };
    const found = await api.upstreamPoolMembers(query, call).catch((error: unknown) => {
      throw wrap(withCode(error, 'INTERNAL'), 'query Rails');
    });
    for (const [pool, members] of found) {
      const [upstream, second] = members;
      const key = given.get(pool);
      if (key !== undefined && upstream?.isPublic && second === undefined)
        upstreams[key] = upstream.relativePath;
    }
  }
  yield { upstreams };
};

/** Reads all messages. @returns the first path of each pool by the path without `.git`. */
async function readRequests(
  requests: AsyncIterable<ListPoolUpstreamsRequest>,
): Promise<{ storageName: string; given: ReadonlyMap<string, string> }> {
  const given = new Map<string, string>();
  using held = new HeldBytes(MAX_POOL_BYTES, 'pools');
  let storageName: string | undefined;
  for await (const request of requests) {
    storageName ??= request.storageName;
    if (storageName === '') throw invalidArgument('storage name is required');
    for (const pool of request.poolDiskPaths) {
      const trimmed = pool.endsWith('.git') ? pool.slice(0, -'.git'.length) : pool;
      if (given.has(trimmed)) continue;
      held.add(pool);
      given.set(trimmed, pool);
    }
  }
  if (storageName === undefined) throw invalidArgument('receive request: EOF');
  return { storageName, given };
}

/** Yields the repositories of a storage, one a message, with the last change of their directory. */
export const walkRepos: Handlers['walkRepos'] = async function* ({ storageName }, { signal }, { storages }) {
  for await (const found of walkRepositories(storageNamed(storages, storageName, 'looking up storage'), {
    signal,
  }))
    yield { relativePath: found.relativePath, modificationTime: timestampFromDate(found.modifiedAt) };
};
