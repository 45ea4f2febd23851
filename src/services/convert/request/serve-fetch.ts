import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { countWrites } from '#base/streams/count-writes';
import type { Fetch, FetchResult } from '#domain/upload-pack/fetch';
import type { HandlerContext } from '#rpc/server/handler';
import { reportNegotiation } from '../response/negotiation-statistics.ts';
import { noteClone, offeredBundles } from './bundle-uri.ts';
import type { GitTransportDependencies } from './git-transport-dependencies.ts';
import { packRequesterOf } from './pack-requester.ts';

export type RequestedFetch = Omit<Fetch, 'bundles' | 'requester'>;

/**
 * Serves a fetch, and reports what the client requested. @throws as `UploadPack.run`, which the
 * transports convert in different ways, like a failing git.
 */
export async function serveFetch(
  fetch: RequestedFetch,
  context: HandlerContext,
  deps: GitTransportDependencies,
): Promise<FetchResult> {
  const { isStateless, repository, streams } = fetch;
  // Not awaited: the fetch does not depend on it.
  void deps.checkBitmaps?.(repository, context);
  const bundles = await offeredBundles(fetch, context, deps);
  const requester = packRequesterOf(context);
  const responseBytes = countWrites(streams.stdout);
  // Gitaly logs it for HTTP.
  const hash = isStateless ? createHash('sha1') : undefined;
  const input = hash === undefined ? streams.input : hashed(streams.input, hash);
  const result = await deps.uploadPack.run({ ...fetch, bundles, requester, streams: { ...streams, input } });
  reportNegotiation(result, context.log, deps.observeNegotiation);
  if (result.exit.code === 0) {
    noteClone(repository, result, context, deps);
    const sha = hash && { request_sha: hash.digest('hex') };
    deps.logDetails?.({ ...sha, response_bytes: responseBytes() }, context);
  }
  return result;
}

/** Yields data unchanged, and hashes it. */
async function* hashed(input: AsyncIterable<Uint8Array>, hash: Hash): AsyncGenerator<Uint8Array> {
  // Reading a sidechannel to its end must leave its write side open, which carries git's response.
  const chunks = input instanceof Readable ? input.iterator({ destroyOnReturn: false }) : input;
  for await (const chunk of chunks) {
    hash.update(chunk);
    yield chunk;
  }
}
