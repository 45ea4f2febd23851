import type { Exceptions } from '#calls/exceptions';
import { explainCall } from '#calls/explain';
import type { ServerMetrics } from '#calls/metrics';
import { rememberCall } from '#calls/running-call';
import type { RunningCalls } from '#calls/running-calls';
import type { Tracing } from '#calls/tracing/tracing';
import { refusedSubcommand } from '#git/command/git-command';
import type { GitalyConfig } from '#platform/config/load-config';
import { accessLogFilter } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import { interceptorChain } from '#rpc/server/chain';
import type { FaultInjector } from '#rpc/server/fault-injector';
import type { AuthenticationOptions } from '#rpc/server/interceptors/authentication';
import { countCalls } from '#rpc/server/interceptors/call-metrics';
import type { ErrorReports } from '#rpc/server/interceptors/error-reports';
import type { MethodLimits } from '#rpc/server/interceptors/limit-concurrency';
import type { MaintenanceScheduler } from '#rpc/server/interceptors/schedule-maintenance';
import type { ServerCall, ServerInterceptor } from '#rpc/server/server-call';
import type { Storages } from '#storage/storages';
import { cacheMarks } from './cache-marks.ts';

export interface InterceptorsParts {
  readonly config: GitalyConfig;
  readonly logger: Logger;
  readonly metrics: ServerMetrics;
  readonly storages: Storages;
  readonly trustsUnixSockets: boolean;
  readonly tracing: Tracing | undefined;
  readonly reports: ErrorReports | undefined;
  readonly calls: RunningCalls;
  readonly faults: FaultInjector | undefined;
  readonly limits: ReadonlyMap<string, MethodLimits>;
  /** Called when a call begins to wait for a limit. @returns what to call when it no longer waits. */
  readonly onWait: (call: ServerCall, configKey: string) => () => void;
  readonly maintenance: MaintenanceScheduler | undefined;
  readonly exceptions: Exceptions;
}

/** Returns the interceptors of every call, outermost first. */
export function interceptors(parts: InterceptorsParts): readonly ServerInterceptor[] {
  const { config, logger, metrics, storages, trustsUnixSockets, tracing, reports } = parts;
  const { calls, faults, limits, onWait, maintenance, exceptions } = parts;
  return interceptorChain({
    metrics: countCalls({
      methodMetrics: metrics.ofMethod,
      clientRequest: metrics.callers.clientRequest,
      onFailure: invalidCommandCount(metrics),
    }),
    trace: tracing?.interceptor,
    reportErrors: reports?.interceptor,
    listCalls: calls.interceptor,
    rememberCall,
    accessLog: { logger, isLogged: accessLogFilter(process.env) },
    authentication: {
      token: config.auth.token,
      transitioning: config.auth.transitioning,
      trustsUnixSockets,
      ...authenticationCounts(metrics),
    },
    explain: config.git.explain ? explainCall : undefined,
    injectFaults: faults?.interceptor,
    limits: {
      limits,
      metrics: metrics.limits,
      onWait,
    },
    cacheInvalidation: {
      beginChange: cacheMarks(storages, logger, metrics.caches.markFailed),
      onCall: metrics.caches.call,
    },
    maintenance,
    exceptions,
    changeOfRepository: (target, sinceMs, call) => storages.changeSince(target, sinceMs, call),
  });
}

function authenticationCounts({
  callers,
}: ServerMetrics): Pick<AuthenticationOptions, 'onChecked' | 'onTokenError'> {
  return {
    onChecked: (enforced, status) => callers.authentication(enforced, status).inc(),
    onTokenError: (reason) => callers.authenticationError(reason).inc(),
  };
}

/** Counts calls whose words would have been options of git. */
function invalidCommandCount({ countInvalidCommand }: ServerMetrics): (failure: unknown) => void {
  return (failure) => {
    const command = refusedSubcommand(failure);
    if (command !== undefined) countInvalidCommand(command);
  };
}
