import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { ClientGoneError } from '#domain/git-service/service-streams';
import { GitStartError } from '#domain/git-service/start-service';
import { Negotiation, type NegotiationStatistics } from '#domain/upload-pack/negotiation';
import { describeExit } from '#git/command/process/exit-error';
import { withLimitError } from '#rpc/common/limit-error';
import type { HandlerContext } from '#rpc/server/handler';
import { type RequestedFetch, serveFetch } from '#services/convert/request/serve-fetch';
import { noteProtocolError } from '#services/convert/response/protocol-error';
import type { SmartHttpDependencies } from './dependencies.ts';

const NO_STATISTICS = new Negotiation().statistics;

/**
 * Serves one POST of a fetch. @returns the statistics of the request; none if it could not be
 * parsed completely.
 */
export async function servePost(
  fetch: Omit<RequestedFetch, 'isStateless'>,
  context: HandlerContext,
  deps: SmartHttpDependencies,
): Promise<NegotiationStatistics> {
  const served = serveFetch({ ...fetch, isStateless: true }, context, deps);
  const result = await served.catch((error: unknown) => {
    throw explained(withLimitError(error));
  });
  const { exit, stderr } = result;
  const statistics = result.isWellFormed ? result.statistics : NO_STATISTICS;
  // A client of a shallow clone disconnects after the list of shallow commits, and connects again;
  // git reports an error then.
  if (exit.code !== 0 && (exit.code === undefined || statistics.deepen === '')) {
    noteProtocolError(context, stderr);
    throw new GitalyError(
      'FAILED_PRECONDITION',
      `running upload-pack: waiting for upload-pack: ${describeExit(exit)}`,
    );
  }
  return statistics;
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
