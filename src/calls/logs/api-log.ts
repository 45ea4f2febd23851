import { messageOf } from '#base/gitaly-error';
import type { FinishedApiCall } from '#domain/gitlab-api/http-internal-api';
import type { Logger } from '#platform/log/logger';
import type { ServerMetrics } from '../metrics.ts';

/** Counts and logs calls of GitLab's internal API. */
export function observeApi(metrics: ServerMetrics, logger: Logger): (call: FinishedApiCall) => void {
  const log = logApiCalls(logger);
  return (call) => {
    metrics.observeApiLatency(call.endpoint, call.durationMs / 1000);
    log(call);
  };
}

/** Writes calls of GitLab's internal API to the log, with the texts and fields of Gitaly. */
export function logApiCalls(logger: Logger): (call: FinishedApiCall) => void {
  return ({ method, url, correlationId, durationMs, answer, error }) => {
    const fields = {
      method,
      url,
      duration_ms: Math.floor(durationMs),
      correlation_id: correlationId,
      ...(answer && { status: answer.status }),
    };
    if (answer === undefined) logger.error({ ...fields, error: causeOf(error) }, 'Internal API unreachable');
    else if (error !== undefined) logger.error({ ...fields, error: messageOf(error) }, 'Internal API error');
    else logger.info({ ...fields, content_length_bytes: answer.bytes }, 'Finished HTTP request');
  };
}

/** Returns the reason that the text of the error omits, because users see that text. */
function causeOf(error: unknown): string {
  return messageOf(error instanceof Error && error.cause !== undefined ? error.cause : error);
}
