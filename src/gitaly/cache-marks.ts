import { GitalyError, messageOf } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import type { CacheInvalidationOptions } from '#rpc/server/interceptors/cache-invalidation';
import { beginChange } from '#storage/cache/cache-generations';
import { beginChangeInTurn } from '#storage/locks/write-exclusion';
import type { Storages } from '#storage/storages';
import type { MethodInfo } from '#wire/method-info';
import type { SettingsMarks } from './archive.ts';

export interface CacheMarksOptions {
  /** Marks changes of settings; `undefined` if they are not needed. */
  readonly settings: SettingsMarks | undefined;
  readonly onFailed: (fullMethod: string) => void;
}

/**
 * Returns a function that marks changes of repositories for the caches of `storage`. A missing
 * repository has nothing cached; other problems are logged and passed to `onFailed`. A change waits
 * while the references are migrated.
 */
export function cacheMarks(
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
