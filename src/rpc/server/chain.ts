import { type AccessLogOptions, accessLog } from './interceptors/access-log.ts';
import { type AuthenticationOptions, authenticate } from './interceptors/authentication.ts';
import { type CacheInvalidationOptions, invalidateCaches } from './interceptors/cache-invalidation.ts';
import { addCostTrailer } from './interceptors/cost-trailer.ts';
import { explainFormats, type ProblemOfFormat } from './interceptors/explain-formats.ts';
import { type ChangeOfRepository, explainMoves } from './interceptors/explain-moves.ts';
import { type LimitConcurrencyOptions, limitConcurrency } from './interceptors/limit-concurrency.ts';
import { type RecoverExceptionsOptions, recoverExceptions } from './interceptors/recover-exceptions.ts';
import { type MaintenanceScheduler, scheduleMaintenance } from './interceptors/schedule-maintenance.ts';
import { mapStatus, rewriteAborted } from './interceptors/status-mapping.ts';
import type { ServerInterceptor } from './server-call.ts';

export interface CallChainOptions {
  /** Counts and measures calls; sees the client's status. */
  readonly metrics: ServerInterceptor;
  /** Makes the spans of calls; `undefined` if there is no tracing. */
  readonly trace: ServerInterceptor | undefined;
  /** Reports errors; `undefined` if they are not reported. */
  readonly reportErrors: ServerInterceptor | undefined;
  /** Lists the calls that run. */
  readonly listCalls: ServerInterceptor;
  /** Keeps figures of the last calls; `undefined` without a history. */
  readonly history: ServerInterceptor | undefined;
  /** Assigns child processes to the call that starts them. */
  readonly rememberCall: ServerInterceptor;
  readonly accessLog: AccessLogOptions;
  readonly authentication: AuthenticationOptions;
  /**
   * Returns the work of a call to its client; `undefined` if the configuration does not allow it.
   */
  readonly explain: ServerInterceptor | undefined;
  /** Makes calls fail on purpose, in tests of clients. */
  readonly injectFaults: ServerInterceptor | undefined;
  readonly limits: LimitConcurrencyOptions;
  readonly cacheInvalidation: CacheInvalidationOptions;
  /** Without one no maintenance starts by itself. */
  readonly maintenance: MaintenanceScheduler | undefined;
  readonly exceptions: RecoverExceptionsOptions;
  readonly changeOfRepository: ChangeOfRepository;
  readonly problemOfFormat: ProblemOfFormat;
}

/**
 * Returns the interceptors of every call, outermost first, each with the reason for its position.
 */
export function interceptorChain(options: CallChainOptions): readonly ServerInterceptor[] {
  return [
    // Outermost, so that refused calls are counted too, with the code on the wire.
    options.metrics,
    // As above; the handler and all that it calls run in its trace.
    ...(options.trace === undefined ? [] : [options.trace]),
    // Sees final codes and texts, and all fields that the handler added.
    accessLog(options.accessLog),
    // Sees final codes and texts.
    ...(options.reportErrors === undefined ? [] : [options.reportErrors]),
    // Outside the mapping, because it needs the mapped code.
    rewriteAborted,
    // Outside authentication, so that every error has a code from here on.
    mapStatus,
    // Before anything that reads a message or waits, so that unauthenticated callers cost nothing.
    authenticate(options.authentication),
    // Not unauthenticated callers; around the limits, as calls that wait are listed too.
    options.listCalls,
    // As above.
    ...(options.history === undefined ? [] : [options.history]),
    // Not for unauthenticated callers; around the limits, whose waits it includes.
    ...(options.explain === undefined ? [] : [options.explain]),
    // Only calls that would be executed; a delayed one takes no turn.
    ...(options.injectFaults === undefined ? [] : [options.injectFaults]),
    // Before anything that costs much, and after authentication: a refused call takes no turn.
    limitConcurrency(options.limits),
    // Not on calls that were refused.
    addCostTrailer,
    // Around everything that may start a process, and not around calls that were refused.
    options.rememberCall,
    // Only calls that are executed are changes; outside the marks of the caches, which end first.
    ...(options.maintenance === undefined ? [] : [scheduleMaintenance(options.maintenance)]),
    // Only calls that are executed are changes.
    invalidateCaches(options.cacheInvalidation),
    // Around all code that uses repositories, so that the other interceptors receive an ordinary
    // error.
    recoverExceptions(options.exceptions),
    // Not for a repository that has gone.
    explainFormats(options.problemOfFormat),
    // Innermost: an error that a handler finds in half a repository is not a mistake in its code.
    explainMoves(options.changeOfRepository),
  ];
}
