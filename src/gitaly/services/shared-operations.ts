import { messageOf, wrapped } from '#base/gitaly-error';
import { parseBool } from '#base/go/strconv';
import { observeApi } from '#calls/logs/api-log';
import { votesOverBackchannels } from '#calls/reverse-votes';
import { runningCall } from '#calls/running-call';
import { traceVariables } from '#calls/tracing/trace-variables';
import { BundleUris } from '#domain/bundle/bundle-uris';
import { CommitSigning } from '#domain/commit/commit-signing';
import type { InternalApi } from '#domain/gitlab-api/internal-api';
import { standAloneApi } from '#domain/gitlab-api/stand-alone-api';
import { HookManager } from '#domain/hooks/hook-manager';
import { HooksDirectories } from '#domain/hooks/hooks-directories';
import { RemoteRepositories } from '#domain/remote/server/remote-repositories';
import { openSigningKeys } from '#domain/signing/signing-keys';
import { transactionHooks } from '#domain/transactions/transaction-hooks';
import { Voter } from '#domain/transactions/voter';
import type { ObjectStore } from '#object-store/object-store';
import { openStore } from '#object-store/open-store';
import type { HandlerContext } from '#rpc/server/handler';
import { transactionOf } from '#services/convert/request/push-context';
import { bundleRemovalsRoot } from '#storage/storage-layout';
import type { Storages } from '#storage/storages';
import type { Foundation } from '../foundation.ts';
import type { ServerRepositories } from '../repositories.ts';
import { openBuckets } from './buckets.ts';
import { internalApi } from './internal-api.ts';

const KEY_UNUSABLE = 'a signing key cannot be used: calls that need it fail until its file is replaced';

/** Creates the operations that services share. `resources` releases them. */
export async function createSharedOperations(
  foundation: Foundation,
  storages: Storages,
  resources: AsyncDisposableStack,
) {
  const { backchannels, config, logger, metrics, programs, runtime } = foundation;
  const { committerName, committerEmail } = config.git;
  const connect = votesOverBackchannels(backchannels);
  const voter = new Voter({ connect, observeDelay: metrics.observeVotingDelay });
  const onHookError = (error: unknown): void =>
    logger.error({ error: messageOf(error) }, 'error executing git hook');
  const onKeyProblem = (error: unknown): void => logger.warn({ error: messageOf(error) }, KEY_UNUSABLE);
  const hooks = await createHooks(foundation, storages, voter);
  const directories = resources.use(
    await HooksDirectories.create(runtime.path, programs.path('gitaly-hooks')),
  );
  const buckets = await openBuckets(config, logger, metrics.objectStores);
  const keys = await openSigningKeys(config.git, onKeyProblem);
  const voteOf = (context: HandlerContext) =>
    voter.voteOf(transactionOf(context), { signal: context.signal });
  return {
    hooks,
    directories,
    onHookError,
    voter,
    voteOf,
    transactionHooks: (context: HandlerContext) => {
      const [transaction, limits] = [transactionOf(context), { signal: context.signal }];
      const vote = voter.voteOf(transaction, limits);
      const enter = voter.orderOf(transaction, limits);
      return vote && transactionHooks({ vote, enter, onError: onHookError });
    },
    remotes: resources.use(new RemoteRepositories()),
    signingKeys: keys,
    commitSigning: new CommitSigning({ keys, committerName, committerEmail }),
    buckets,
    bundleUris: buckets.bundleUri && openBundleUris(buckets.bundleUri, foundation, storages, resources),
    /** Fills fields that clients of 15.0 read and later ones do not. */
    fillsOldFields: Number.parseFloat(config.compatibility.oldestClient) < 16,
  };
}

/** All that the groups of services are built from. */
export interface ServiceFoundation
  extends Foundation,
    ServerRepositories,
    Awaited<ReturnType<typeof createSharedOperations>> {}

const HOOKS_BYPASSED =
  'skipping GitLab API client creation since hooks are bypassed via GITALY_TESTING_NO_GIT_HOOKS';

/** Creates the hooks of changes: GitLab's internal API, custom hooks and votes. */
async function createHooks(foundation: Foundation, storages: Storages, voter: Voter): Promise<HookManager> {
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

const NO_BUNDLE = 'making a bundle for clones failed';
const LEFTOVER = 'bundles of a removed repository stay in the bucket until the next attempt, in an hour';
const FORGOTTEN = 'removals of bundles cannot be remembered';

/**
 * Opens the bundles for clones. Bundles of removed repositories are removed. `resources` ends the
 * work on them.
 */
function openBundleUris(
  bucket: ObjectStore,
  { config, family, logger, metrics }: Foundation,
  storages: Storages,
  resources: AsyncDisposableStack,
): BundleUris {
  const [first] = storages.all;
  const bundleUris = new BundleUris(bucket, {
    maxAgeMs: config.bundleUri.maxAgeMs,
    observe: metrics.backups.observeBundleUri,
    onError: ({ storageName, relativePath }, error) =>
      logger.warn({ storage: storageName, relative_path: relativePath, error: messageOf(error) }, NO_BUNDLE),
    pendingRemovals: first && bundleRemovalsRoot(first),
    onProblem: (error) => logger.warn({ error: messageOf(error) }, FORGOTTEN),
    onLeftover: ({ storageName, relativePath }, error) =>
      logger.warn({ storage: storageName, relative_path: relativePath, error: messageOf(error) }, LEFTOVER),
  });
  storages.onLeft = (target) => bundleUris.automatic.removeLater(target);
  resources.use(bundleUris.automatic);
  if (family?.role !== 'worker') bundleUris.automatic.startSweeps();
  return bundleUris;
}
