import type { Logger } from '#platform/log/logger';
import type { HandlerContext } from '#rpc/server/handler';

/** Returns the log of fetches and archives that Gitaly has: `request details`. */
export function detailsLog(logger: Logger) {
  return (
    fields: Readonly<Record<string, unknown>>,
    { correlationId, method }: Pick<HandlerContext, 'correlationId' | 'method'>,
  ): void =>
    logger.info(
      {
        ...fields,
        correlation_id: correlationId,
        'grpc.request.fullMethod': method.path,
      },
      'request details',
    );
}
