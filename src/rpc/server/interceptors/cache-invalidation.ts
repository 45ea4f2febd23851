import type { MethodInfo } from '#wire/method-info';
import type { RequestTarget } from '../named-targets.ts';
import type { ServerInterceptor } from '../server-call.ts';

/** The parts of a call that the begin of its change depends on. */
export interface ChangingCall {
  /** Its signal is made on use. */
  readonly context: { readonly signal: AbortSignal };
  /** True for a call of a hook, which runs in another change. */
  readonly isNested: boolean;
}

export interface CacheInvalidationOptions {
  /**
   * Marks the begin of a change of the repository; the result ends the mark. The function reports
   * its problems itself, except those for which the change must not begin.
   */
  readonly beginChange: (
    target: RequestTarget,
    method: MethodInfo,
    call: ChangingCall,
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
    let isOver = false;
    return {
      async request({ targets, context, peer }) {
        if (targets?.repository === undefined) return;
        const isNested = peer.transport === 'internal';
        endChange = await beginChange(targets.repository, method, { context, isNested });
        if (isOver) await endChange?.(); // the call was failed meanwhile
      },
      end() {
        isOver = true;
        return endChange?.();
      },
    };
  };
}
