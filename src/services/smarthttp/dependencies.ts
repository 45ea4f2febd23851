import type { CacheObserver } from '#domain/git-service/cached-advertisement';
import type { HandlersOf } from '#rpc/server/handler';
import type { GitTransportDependencies } from '#services/convert/request/git-transport-dependencies';
import type { StreamCache } from '#storage/cache/streams/stream-cache';
import type { SmartHTTPService } from '#wire/gen/smarthttp_pb';

export interface SmartHttpDependencies extends GitTransportDependencies {
  /** Advertisements in version 0 of the protocol; kept, or being made. */
  readonly advertisements: StreamCache<void>;
  /** Part of the key of cached responses: another release may respond differently. */
  readonly serverVersion: string;
  /** `gitaly_inforef_cache_*` and `gitaly_diskcache_*`. */
  readonly cacheObserver?: CacheObserver | undefined;
}

export type Handlers = HandlersOf<typeof SmartHTTPService, SmartHttpDependencies>;
