import type { MethodInfo } from '#wire/method-info';
import type { RequestTarget } from '../named-targets.ts';
import type { ServerInterceptor } from '../server-call.ts';

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
  return ({ method }) => {
    onCall?.(method.operation);
    if (method.operation !== 'mutator' || method.scope !== 'repository') return undefined;
    let endChange: (() => Promise<void>) | undefined;
    return {
      async request({ targets }) {
        if (targets?.repository !== undefined) endChange = await beginChange(targets.repository, method);
      },
      end: () => endChange?.(),
    };
  };
}
