import { GitalyError, messageOf } from '#base/gitaly-error';
import { explainCall } from '#calls/explain';
import type { ServerMetrics } from '#calls/metrics';
import { rememberCall } from '#calls/running-call';
import { refusedSubcommand } from '#git/command/git-command';
import { accessLogFilter } from '#platform/log/access-log';
import type { Logger } from '#platform/log/logger';
import { interceptorChain } from '#rpc/server/chain';
import type { FaultInjector } from '#rpc/server/fault-injector';
import type { AuthenticationOptions } from '#rpc/server/interceptors/authentication';
import type { CacheInvalidationOptions } from '#rpc/server/interceptors/cache-invalidation';
import { countCalls } from '#rpc/server/interceptors/call-metrics';
import type { MaintenanceScheduler } from '#rpc/server/interceptors/schedule-maintenance';
import type { ServerInterceptor } from '#rpc/server/server-call';
import { beginChange } from '#storage/cache/cache-generations';
import { beginChangeInTurn } from '#storage/locks/write-exclusion';
import type { Storages } from '#storage/storages';
import type { MethodInfo } from '#wire/method-info';
import { type SettingsMarks, settingsMarks } from './archive.ts';
import type { Foundation } from './foundation.ts';
import type { Limits } from './limits/create-limits.ts';

export interface InterceptorsOptions
  extends Pick<
    Foundation,
    'calls' | 'config' | 'exceptions' | 'history' | 'logger' | 'metrics' | 'reports' | 'tracing'
  > {
  readonly storages: Storages;
  readonly maintenance: { readonly scheduler: MaintenanceScheduler | undefined };
  readonly limits: Pick<Limits, 'byMethod' | 'onWait'>;
  readonly trustsUnixSockets: boolean;
  readonly faults: FaultInjector | undefined;
}

/** Returns the interceptors of every call, outermost first. */
export async function interceptors(options: InterceptorsOptions): Promise<readonly ServerInterceptor[]> {
  const { config, logger, metrics, storages, trustsUnixSockets, tracing, reports } = options;
  const { calls, faults, history, limits, maintenance, exceptions } = options;
  return interceptorChain({
    metrics: countCalls({
      methodMetrics: metrics.ofMethod,
      clientRequest: metrics.callers.clientRequest,
      onFailure: invalidCommandCount(metrics),
    }),
    trace: tracing?.interceptor,
    reportErrors: reports?.interceptor,
    listCalls: calls.interceptor,
    history: history?.interceptor,
    rememberCall,
    accessLog: { logger, isLogged: await accessLogFilter(process.env) },
    authentication: {
      token: config.auth.token,
      transitioning: config.auth.transitioning,
      trustsUnixSockets,
      ...authenticationCounts(metrics),
    },
    explain: config.git.explain ? explainCall : undefined,
    injectFaults: faults?.interceptor,
    limits: { limits: limits.byMethod, metrics: metrics.limits, onWait: limits.onWait },
    cacheInvalidation: {
      beginChange: cacheMarks(storages, logger, {
        settings: settingsMarks(config),
        onFailed: metrics.caches.markFailed,
      }),
      onCall: metrics.caches.call,
    },
    maintenance: maintenance.scheduler,
    exceptions,
    changeOfRepository: (target, sinceMs, call) => storages.changeSince(target, sinceMs, call),
    problemOfFormat: (target) => storages.formatProblem(target),
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

/** Counts calls with values that git would have read as options. */
function invalidCommandCount({ countInvalidCommand }: ServerMetrics): (failure: unknown) => void {
  return (failure) => {
    const command = refusedSubcommand(failure);
    if (command !== undefined) countInvalidCommand(command);
  };
}

interface CacheMarksOptions {
  /** Marks changes of settings; `undefined` if they are not needed. */
  readonly settings: SettingsMarks | undefined;
  readonly onFailed: (fullMethod: string) => void;
}

/**
 * Returns a function that marks changes of repositories for the caches of `storage`. A missing
 * repository has nothing cached; other problems are logged and passed to `onFailed`. A change waits
 * while the references are migrated.
 */
function cacheMarks(
  storages: Storages,
  logger: Logger,
  { onFailed, settings }: CacheMarksOptions,
): CacheInvalidationOptions['beginChange'] {
  const report = (error: unknown, method: MethodInfo): undefined => {
    onFailed(method.path);
    logger.warn({ error: messageOf(error) }, 'marking a change for the caches failed');
  };
  return async (target, method, { context, isNested }) => {
    const reportHere = (error: unknown): undefined => report(error, method);
    let location: ReturnType<Storages['locate']>;
    try {
      location = storages.locate(target);
    } catch {
      return undefined; // the handler responds with the reason
    }
    const mark = (phase: 'begin' | 'end'): void => {
      if (isNested) return;
      try {
        settings?.ofCall(location, method, phase);
      } catch (error) {
        reportHere(error);
      }
    };
    mark('begin');
    // Excludes all other changes, and marks itself.
    if (method.name === 'MigrateReferenceBackend') return async () => mark('end');
    // A nested change is part of one that the exclusion waits for.
    const beginning = isNested ? beginChange(location) : beginChangeInTurn(location, context);
    const change = await beginning.catch((error: unknown) => {
      if (error instanceof GitalyError) {
        mark('end');
        throw error;
      }
      return reportHere(error);
    });
    return async () => {
      await change?.end().catch(reportHere);
      mark('end');
    };
  };
}
