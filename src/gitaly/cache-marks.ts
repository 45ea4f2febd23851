import { messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { CacheInvalidationOptions } from '#rpc/server/interceptors/cache-invalidation';
import { beginChange } from '#storage/cache/cache-generations';
import type { Storages } from '#storage/storages';
import type { MethodInfo } from '#wire/method-info';

/**
 * Returns a function that marks changes of repositories for the caches of `storage`. A missing
 * repository has nothing cached; other problems are logged and
 * passed to `onFailed`.
 */
export function cacheMarks(
  storages: Storages,
  logger: Logger,
  onFailed: (fullMethod: string) => void,
): CacheInvalidationOptions['beginChange'] {
  const report = (error: unknown, method: MethodInfo): undefined => {
    onFailed(method.path);
    logger.warn({ error: messageOf(error) }, 'marking a change for the caches failed');
  };
  return async (target, method) => {
    const reportHere = (error: unknown): undefined => report(error, method);
    let location: ReturnType<Storages['locate']>;
    try {
      location = storages.locate(target);
    } catch {
      return undefined; // the handler responds with the reason
    }
    const change = await beginChange(location).catch(reportHere);
    return change && (() => change.end().catch(reportHere));
  };
}
