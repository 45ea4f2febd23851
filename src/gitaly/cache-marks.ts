import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { CacheInvalidationOptions } from '#rpc/server/interceptors/cache-invalidation';
import { beginChange } from '#storage/cache-generations';
import type { Storages } from '#storage/storages';

/** Marks changes of repositories for the caches of `storage`. A repository that cannot be found has nothing cached; other problems are logged. */
export function cacheMarks(storages: Storages, logger: Logger): CacheInvalidationOptions['beginChange'] {
  const report = (error: unknown): undefined => {
    logger.warn({ error: messageOf(error) }, 'marking a change for the caches failed');
  };
  return async (target) => {
    let location: ReturnType<Storages['locate']>;
    try {
      location = storages.locate(target);
    } catch {
      return undefined; // the handler answers with the reason
    }
    const change = await beginChange(location).catch(report);
    return change && (() => change.end().catch(report));
  };
}
