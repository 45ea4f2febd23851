import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { countWrites } from '#base/streams/count-writes';
import { ClientGoneError, type ServiceStreams } from '#domain/git-service/service-streams';
import { GitStartError } from '#domain/git-service/start-service';
import { Negotiation, type NegotiationStatistics } from '#domain/upload-pack/negotiation';
import { uploadPack } from '#domain/upload-pack/upload-pack';
import type { ConfigPair } from '#git/command/config';
import { describeExit } from '#git/command/exit-error';
import type { HandlerContext } from '#rpc/server/handler';
import { noteClone, offeredBundles } from '#services/convert/request/bundle-uri';
import { packRequesterOf } from '#services/convert/request/pack-requester';
import { withLimitError } from '#services/convert/response/limit-refusal';
import { reportNegotiation } from '#services/convert/response/negotiation-statistics';
import { noteProtocolError } from '#services/convert/response/protocol-error';
import type { Repository } from '#storage/repository';
import type { SmartHttpDependencies } from './dependencies.ts';

export interface PostedFetch {
  readonly repository: Repository;
  readonly config: readonly ConfigPair[];
  readonly gitProtocol: string;
  readonly streams: ServiceStreams;
  readonly signal: AbortSignal;
}

const NO_STATISTICS = new Negotiation().statistics;

/**
 * Serves one POST of a fetch. @returns the statistics of the request; none if it could not be
 * parsed completely.
 */
export async function runUploadPack(
  fetch: PostedFetch,
  context: HandlerContext,
  deps: SmartHttpDependencies,
): Promise<NegotiationStatistics> {
  // Not awaited: the fetch does not depend on it.
  void deps.checkBitmaps?.(fetch.repository, context);
  const bundles = await offeredBundles(fetch, context, deps);
  const { fetchAnswers: answers, packs } = deps;
  const requester = packRequesterOf(context);
  const options = { bundles, isStateless: true, answers, packs, requester };
  const responseBytes = countWrites(fetch.streams.stdout);
  const hash = createHash('sha1');
  const streams = { ...fetch.streams, input: hashed(fetch.streams.input, hash) };
  const result = await uploadPack({ ...fetch, ...options, streams }).catch((error: unknown) => {
    throw explained(withLimitError(error));
  });
  reportNegotiation(result, context.log, deps.observeNegotiation);
  const { exit, statistics } = result.isWellFormed ? result : { ...result, statistics: NO_STATISTICS };
  // A client of a shallow clone disconnects after the list of shallow commits, and connects again;
  // git reports an error then.
  if (exit.code !== 0 && (exit.code === undefined || statistics.deepen === '')) {
    noteProtocolError(context, result.stderr);
    throw new GitalyError(
      'FAILED_PRECONDITION',
      `running upload-pack: waiting for upload-pack: ${describeExit(exit)}`,
    );
  }
  if (exit.code === 0) {
    noteClone(fetch.repository, statistics, context, deps);
    deps.logDetails?.({ request_sha: hash.digest('hex'), response_bytes: responseBytes() }, context);
  }
  return statistics;
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

function explained(error: unknown): GitalyError {
  if (error instanceof GitStartError)
    return wrap(error.cause, 'running upload-pack: spawning upload-pack', 'FAILED_PRECONDITION');
  if (error instanceof ClientGoneError) {
    return new GitalyError(
      'FAILED_PRECONDITION',
      `running upload-pack: copying stdout from upload-pack: ${messageOf(error)}`,
      {
        cause: error,
      },
    );
  }
  return wrap(error, 'running upload-pack: waiting for upload-pack', 'FAILED_PRECONDITION');
}
