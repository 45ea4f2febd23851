import type { ServerInterceptor } from '../server-call.ts';
import { type RequestTarget, requestTarget } from './request-target.ts';

export interface CacheInvalidationOptions {
  /** Marks that the repository begins to change; the result ends the mark. Problems are the function's own to report. */
  readonly beginChange: (target: RequestTarget) => Promise<(() => Promise<void>) | undefined>;
}

/** While a call that changes a repository runs, and from then on, answers cached before it are not used. */
export function invalidateCaches({ beginChange }: CacheInvalidationOptions): ServerInterceptor {
  return async (call, next) => {
    if (call.method.operation !== 'mutator' || call.method.scope !== 'repository') return next();
    let end: (() => Promise<void>) | undefined;
    call.onRequest(async (message, index) => {
      const target = index === 0 ? requestTarget(call, message) : undefined;
      if (target !== undefined) end = await beginChange(target);
    });
    try {
      await next();
    } finally {
      await end?.();
    }
  };
}
