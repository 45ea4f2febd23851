import { countWrites } from '#base/streams/count-writes';
import type { ServiceStreams } from '#domain/git-service/service-streams';
import type { FetchResult } from '#domain/upload-pack/fetch';
import type { ConfigPair } from '#git/command/config';
import type { HandlerContext } from '#rpc/server/handler';
import type { Repository } from '#storage/repository';
import { reportNegotiation } from '../response/negotiation-statistics.ts';
import { noteClone, offeredBundles } from './bundle-uri.ts';
import type { GitTransportDependencies } from './git-transport-dependencies.ts';
import { packRequesterOf } from './pack-requester.ts';

/** A fetch as an RPC requests it. */
export interface RequestedFetch {
  readonly repository: Repository;
  readonly config: readonly ConfigPair[];
  readonly gitProtocol: string;
  readonly streams: ServiceStreams;
  readonly signal: AbortSignal;
}

/** The differences between HTTP and SSH. */
export interface FetchTransport {
  readonly isStateless: boolean;
  readonly negotiationTimeoutMs?: number;
  /** Converts an error before git's response, or while it was sent to the client. */
  toError(error: unknown): Error;
  /** Converts a failure of git; `undefined` if it is none for the client. */
  toFailure(result: FetchResult): Error | undefined;
  /** Returns further facts for the log of a fetch that succeeded. */
  details?(): Readonly<Record<string, unknown>>;
}

/** Serves a fetch, and reports what the client requested. @throws errors of `transport`. */
export async function serveFetch(
  fetch: RequestedFetch,
  { details, isStateless, negotiationTimeoutMs, toError, toFailure }: FetchTransport,
  context: HandlerContext,
  deps: GitTransportDependencies,
): Promise<FetchResult> {
  // Not awaited: the fetch does not depend on it.
  void deps.checkBitmaps?.(fetch.repository, context);
  const bundles = await offeredBundles(fetch, context, deps);
  const responseBytes = countWrites(fetch.streams.stdout);
  const options = { bundles, isStateless, negotiationTimeoutMs, requester: packRequesterOf(context) };
  const result = await deps.uploadPack.run({ ...fetch, ...options }).catch((error: unknown) => {
    throw toError(error);
  });
  reportNegotiation(result, context.log, deps.observeNegotiation);
  if (result.exit.code !== 0) {
    const failure = toFailure(result);
    if (failure !== undefined) throw failure;
    return result;
  }
  noteClone(fetch.repository, result, context, deps);
  deps.logDetails?.({ ...details?.(), response_bytes: responseBytes() }, context);
  return result;
}
