import { messageOf, wrapped } from '#base/gitaly-error';
import { parseBool } from '#base/go/strconv';
import { observeApi } from '#calls/logs/api-log';
import { runningCall } from '#calls/running-call';
import { traceVariables } from '#calls/tracing/trace-variables';
import type { InternalApi } from '#domain/gitlab-api/internal-api';
import { standAloneApi } from '#domain/gitlab-api/stand-alone-api';
import { HookManager } from '#domain/hooks/hook-manager';
import type { Voter } from '#domain/transactions/voter';
import type { ObjectStore } from '#object-store/object-store';
import { openStore } from '#object-store/open-store';
import type { Storages } from '#storage/storages';
import type { Foundation } from '../foundation.ts';
import { internalApi } from './internal-api.ts';

const HOOKS_BYPASSED =
  'skipping GitLab API client creation since hooks are bypassed via GITALY_TESTING_NO_GIT_HOOKS';

/** Creates the hooks of changes: GitLab's internal API, custom hooks and votes. */
export async function createHooks(
  foundation: Foundation,
  storages: Storages,
  voter: Voter,
): Promise<HookManager> {
  const { config, logger, tracing } = foundation;
  return new HookManager({
    storages,
    api: await gitlabApi(foundation),
    voter,
    lfs: await lfsStore(foundation),
    customHooksDirectory: config.hooks.customHooksDir ?? '',
    ...(tracing && {
      observe: (hook: string) => tracing.hook(runningCall(), hook),
      scriptVariables: () => traceVariables(tracing),
    }),
    onWarning: (message, error) => logger.warn({ error: messageOf(error) }, message),
  });
}

/** Opens the store in which the files of a push must be. @throws {Error} when it cannot be used. */
async function lfsStore({ config: { lfs }, metrics }: Foundation): Promise<ObjectStore | undefined> {
  if (!lfs.url || !lfs.refuseMissing) return undefined;
  return await openStore(lfs.url, { observer: metrics.objectStores }).catch(wrapped('lfs.url'));
}

async function gitlabApi({ config, logger, metrics }: Foundation): Promise<InternalApi> {
  if (parseBool(process.env.GITALY_TESTING_NO_GIT_HOOKS ?? '') !== true)
    return await internalApi(config, observeApi(metrics, logger));
  logger.warn(HOOKS_BYPASSED);
  return standAloneApi;
}
