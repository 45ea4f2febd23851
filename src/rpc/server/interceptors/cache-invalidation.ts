import type { MethodInfo } from '#wire/method-info';
import type { ServerInterceptor } from '../server-call.ts';
import { type RequestTarget, requestTarget } from './request-target.ts';

export interface CacheInvalidationOptions {
  /**
   * Marks the begin of a change of the repository; the result ends the mark. The function reports
   * its problems itself.
   */
  readonly beginChange: (
    target: RequestTarget,
    method: MethodInfo,
  ) => Promise<(() => Promise<void>) | undefined>;
  /** Notified of every call, for metrics. */
  readonly onCall?: (operation: MethodInfo['operation']) => void;
}

/**
 * Returns the interceptor that invalidates caches: while a call that changes a repository runs, and
 * after it, older cached responses are not used.
 */
export function invalidateCaches({ beginChange, onCall }: CacheInvalidationOptions): ServerInterceptor {
  return async (call, next) => {
    onCall?.(call.method.operation);
    if (call.method.operation !== 'mutator' || call.method.scope !== 'repository') return next();
    let end: (() => Promise<void>) | undefined;
    call.onRequest(async (message, index) => {
      const target = index === 0 ? requestTarget(call, message) : undefined;
      if (target !== undefined) end = await beginChange(target, call.method);
    });
    try {
      await next();
    } finally {
      await end?.();
    }
  };
}
