import { messageOf } from '#base/gitaly-error';
import { accessLogFilter } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import type { FaultInjector } from '#rpc/server/fault-injector';
import { accessLog } from '#rpc/server/interceptors/access-log';
import { authenticate } from '#rpc/server/interceptors/authentication';
import { countCalls } from '#rpc/server/interceptors/call-metrics';
import type { ErrorReports } from '#rpc/server/interceptors/error-reports';
import { recoverExceptions } from '#rpc/server/interceptors/recover-exceptions';
import { mapStatus } from '#rpc/server/interceptors/status-mapping';
import type { ServerInterceptor } from '#rpc/server/server-call';
import type { CallList } from './call-list.ts';
import type { PraefectConfig } from './config/schema.ts';
import type { PraefectMetrics } from './metrics/praefect-metrics.ts';
import { servedKind } from './proxy/served-kind.ts';

export interface PraefectInterceptorsOptions {
  readonly config: PraefectConfig;
  readonly logger: Logger;
  readonly metrics: PraefectMetrics;
  readonly reports: ErrorReports | undefined;
  readonly faults: FaultInjector | undefined;
  readonly calls: Pick<CallList, 'interceptors' | 'observers'>;
}

/** Returns the interceptors of every call, outermost first. */
export async function interceptors({
  calls,
  config,
  faults,
  logger,
  metrics,
  reports,
}: PraefectInterceptorsOptions): Promise<readonly ServerInterceptor[]> {
  return [
    countCalls({ methodMetrics: metrics.ofMethod, clientRequest: metrics.callers.clientRequest }),
    accessLog({
      logger,
      isLogged: await accessLogFilter(process.env),
      program: 'praefect',
      kindOf: servedKind,
    }),
    ...(reports === undefined ? [] : [reports.interceptor]),
    ...calls.observers,
    mapStatus,
    authenticate({
      token: config.auth.token,
      transitioning: config.auth.transitioning,
      onChecked: (enforced, status) => metrics.callers.authentication(enforced, status).inc(),
      onTokenError: (reason) => metrics.callers.authenticationError(reason).inc(),
    }),
    ...calls.interceptors,
    ...(faults === undefined ? [] : [faults.interceptor]),
    recoverExceptions({
      onException: (call, exception) => {
        metrics.callers.exception('call').inc();
        reports?.exception(call, exception);
        logger.error({ error: messageOf(exception), method: call.method.path }, 'grpc panic');
      },
    }),
  ];
}
