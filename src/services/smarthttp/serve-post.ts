import { createHash, type Hash } from 'node:crypto';
import { Readable } from 'node:stream';
import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { ClientGoneError } from '#domain/git-service/service-streams';
import { GitStartError } from '#domain/git-service/start-service';
import type { FetchResult } from '#domain/upload-pack/fetch';
import { Negotiation, type NegotiationStatistics } from '#domain/upload-pack/negotiation';
import { describeExit } from '#git/command/process/exit-error';
import type { HandlerContext } from '#rpc/server/handler';
import { type RequestedFetch, serveFetch } from '#services/convert/request/serve-fetch';
import { withLimitError } from '#services/convert/response/limit-refusal';
import { noteProtocolError } from '#services/convert/response/protocol-error';
import type { SmartHttpDependencies } from './dependencies.ts';

const NO_STATISTICS = new Negotiation().statistics;

/**
 * Serves one POST of a fetch. @returns the statistics of the request; none if it could not be
 * parsed completely.
 */
export async function servePost(
  fetch: RequestedFetch,
  context: HandlerContext,
  deps: SmartHttpDependencies,
): Promise<NegotiationStatistics> {
  const hash = createHash('sha1');
  const streams = { ...fetch.streams, input: hashed(fetch.streams.input, hash) };
  const transport = {
    isStateless: true,
    toError: (error: unknown) => explained(withLimitError(error)),
    toFailure: (result: FetchResult) => failureOf(result, context),
    details: () => ({ request_sha: hash.digest('hex') }),
  };
  return understood(await serveFetch({ ...fetch, streams }, transport, context, deps));
}

function understood({ isWellFormed, statistics }: FetchResult): NegotiationStatistics {
  return isWellFormed ? statistics : NO_STATISTICS;
}

function failureOf(result: FetchResult, context: HandlerContext): GitalyError | undefined {
  const { exit, stderr } = result;
  // A client of a shallow clone disconnects after the list of shallow commits, and connects again;
  // git reports an error then.
  if (exit.code !== undefined && understood(result).deepen !== '') return undefined;
  noteProtocolError(context, stderr);
  return new GitalyError(
    'FAILED_PRECONDITION',
    `running upload-pack: waiting for upload-pack: ${describeExit(exit)}`,
  );
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
      { cause: error },
    );
  }
  return wrap(error, 'running upload-pack: waiting for upload-pack', 'FAILED_PRECONDITION');
}
