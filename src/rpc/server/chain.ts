import type { AccessLogOptions } from './interceptors/access-log.ts';
import { accessLog } from './interceptors/access-log.ts';
import { type AuthenticationOptions, authenticate } from './interceptors/authentication.ts';
import { type CacheInvalidationOptions, invalidateCaches } from './interceptors/cache-invalidation.ts';
import { mapStatus, rewriteAborted } from './interceptors/status-mapping.ts';
import type { ServerInterceptor } from './server-call.ts';

export interface ChainOptions {
  /** Counts calls and measures them; sees the status that the client gets. */
  readonly metrics: ServerInterceptor;
  /** Lets child processes be counted for the call that starts them. */
  readonly rememberCall: ServerInterceptor;
  readonly accessLog: AccessLogOptions;
  readonly authentication: AuthenticationOptions;
  readonly cacheInvalidation: CacheInvalidationOptions;
}

/** What runs around every call, outermost first, each with the reason for its place. */
export function interceptorChain(options: ChainOptions): readonly ServerInterceptor[] {
  return [
    // Outermost, so that refused calls count too and the code is the one on the wire.
    options.metrics,
    // Sees final codes and texts, and everything the handler added to the line.
    accessLog(options.accessLog),
    // Outside the mapping: it looks at the code that the mapping decided on.
    rewriteAborted,
    // Outside authentication, so that every error has a code from here on.
    mapStatus,
    // Before anything that reads a message or waits: strangers cost nothing.
    authenticate(options.authentication),
    // Around everything that may start a process, and not around calls that were refused.
    options.rememberCall,
    // Innermost: only calls that really run are changes.
    invalidateCaches(options.cacheInvalidation),
  ];
}
