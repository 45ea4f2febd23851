import type { Archive } from '#archive/archive';
import type { ChangeUser } from '#base/change-user';
import { messageOf } from '#base/gitaly-error';
import { observeInProcess } from '#calls/cost/in-process-answers';
import { observeLookups } from '#calls/cost/object-lookups';
import { logBackgroundJobs } from '#calls/logs/background-jobs-log';
import { logExpiry } from '#calls/logs/expiry-log';
import { runningCall } from '#calls/running-call';
import { startExpiry } from '#domain/lifetimes/start-expiry';
import { ChangeFeed } from '#events/change-feed';
import type { EventSources } from '#events/event-source';
import type { Git } from '#git/command/git';
import { InProcess } from '#git/command/in-process';
import { RepositoryCaches } from '#git/repository-caches';
import type { Logger } from '#platform/log/logger';
import { catFileMetrics } from '#platform/metrics/cache-metrics';
import { repositoryCountMetrics } from '#platform/metrics/repository-count-metrics';
import { storageSpaceMetrics } from '#platform/metrics/storage-space-metrics';
import { userInHeaders } from '#rpc/common/call-user';
import { type BackgroundJobs, startBackgroundJobs } from '#storage/background-jobs';
import { endSurvivors } from '#storage/leftovers/end-survivors';
import { markKilled } from '#storage/leftovers/mark-killed';
import { ensureStorageMetadata } from '#storage/storage-metadata';
import { Storages } from '#storage/storages';
import type { Webhooks } from '#webhooks/webhooks';
import { hasArchive, startArchive } from './archive.ts';
import { answerForAccounts, remoteAccounts } from './family/remote-accounts.ts';
import { RemoteFeed } from './family/remote-feed.ts';
import { shareFeed } from './family/share-feed.ts';
import type { Foundation } from './foundation.ts';
import { type ServerMaintenance, startMaintenance } from './maintenance.ts';
import { startWebhooks } from './webhooks.ts';

/** Time for the git of a supervisor that was killed to remove its lock files. */
const SUPERVISOR_GRACE_MS = 400;

const NOT_MARKED = 'a git was killed, and the locks that it may have left could not be noted';

/** The repositories of a server, and the background work on them. */
export interface ServerRepositories {
  readonly storages: Storages;
  /** The change feed; `undefined` if it is off. */
  readonly feed: EventSources | undefined;
  /** `undefined` without any, and in a worker. */
  readonly archive: Archive | undefined;
  /** `undefined` without any. */
  readonly webhooks: Webhooks | undefined;
  readonly maintenance: ServerMaintenance;
  /**
   * Ends the git of another process of this server that was killed. The supervisor then also
   * removes what that has left in repositories. Never rejects.
   */
  readonly cleanAfter: (pid: number) => Promise<void>;
}

/** Opens the storages and starts their maintenance and background jobs. `resources` ends them. */
export async function openRepositories(
  { calls, config, family, git, logger, metrics, predecessorEnded }: Foundation,
  resources: AsyncDisposableStack,
): Promise<ServerRepositories> {
  const { storages, caches } = await openStorages(git, { config, metrics, logger, family });
  resources.use(caches);
  const { archive, feed, webhooks } = await openFeed(
    storages,
    { config, family, logger, metrics, predecessorEnded },
    resources,
  );
  const maintenance = resources.use(startMaintenance({ calls, config, family, storages, metrics, logger }));
  if (family?.role === 'worker') {
    noteKilled(git, { storages, logger });
    return { storages, feed, archive, webhooks, maintenance, cleanAfter: endGitOfSupervisor };
  }
  const jobs = resources.use(
    startBackgroundJobs(storages, {
      ...logBackgroundJobs(logger),
      onStep: metrics.caches.walked,
      onLeftover: (kind) => metrics.housekeeping.prunedFiles.with({ filetype: kind }).inc(),
    }),
  );
  noteKilled(git, { storages, logger, jobs });
  resources.use(startExpiry(storages, logExpiry(logger)));
  return { storages, feed, archive, webhooks, maintenance, cleanAfter: (pid) => jobs.cleanAfter(pid) };
}

/**
 * Triggers the removal of files left by a killed git: done by the first process of a server, at the
 * start.
 */
function noteKilled(
  git: Git,
  { jobs, logger, storages }: { jobs?: BackgroundJobs; logger: Logger; storages: Storages },
): void {
  git.onKilled = ({ pid, repositoryPath = '' }) =>
    void markKilled(storages, repositoryPath, pid).then(
      () => jobs?.cleanAfterKilled(),
      (error: unknown) => logger.warn({ error: messageOf(error), path: repositoryPath }, NOT_MARKED),
    );
}

/** A worker also ends within a second after its supervisor was killed. */
async function endGitOfSupervisor(pid: number): Promise<void> {
  await endSurvivors(pid, { graceMs: SUPERVISOR_GRACE_MS });
}

/** Opens the change feed if it is enabled, or archives need it; from then on it records every change, and webhooks get it. */
async function openFeed(
  storages: Storages,
  {
    config,
    family,
    logger,
    metrics,
    predecessorEnded,
  }: Pick<Foundation, 'config' | 'family' | 'logger' | 'metrics' | 'predecessorEnded'>,
  resources: AsyncDisposableStack,
): Promise<Pick<ServerRepositories, 'archive' | 'feed' | 'webhooks'>> {
  const { enabled, maxBytes, maxAgeMs } = config.events;
  if (!enabled && !hasArchive(config)) return { feed: undefined, archive: undefined, webhooks: undefined };
  const onProblem = (error: unknown): void =>
    logger.error({ error: messageOf(error) }, 'the change feed could not record a change');
  if (family?.role === 'worker') {
    const feed = new RemoteFeed(family.link, { storages, onProblem, currentUser });
    storages.caches.changeRecorder = feed;
    storages.lifecycleRecorder = feed;
    return { feed, archive: undefined, webhooks: undefined };
  }
  const feed = resources.use(
    await ChangeFeed.open(storages, { maxBytes, maxAgeMs, onProblem, currentUser, predecessorEnded }),
  );
  storages.caches.changeRecorder = feed;
  storages.lifecycleRecorder = feed;
  if (family?.role === 'supervisor') shareFeed(family, feed, storages);
  const onWebhookProblem = (error: unknown): void =>
    logger.error({ error: messageOf(error) }, 'a webhook could not keep its progress');
  const webhooks = await startWebhooks(config, { feed, onProblem: onWebhookProblem });
  if (webhooks !== undefined) resources.use(webhooks);
  const archive = await startArchive(storages, feed, { config, logger, metrics });
  if (archive !== undefined) resources.use(archive);
  return { feed, archive, webhooks };
}

/**
 * Returns who changes repositories with the call that is being served: the user of the request,
 * with the credential that the gateway has named; `undefined` in background jobs.
 */
function currentUser(): ChangeUser | undefined {
  const call = runningCall();
  if (call === undefined) return undefined;
  const { user } = call.context;
  const named = userInHeaders(call.headers);
  return user === undefined || user.id === named?.id ? named : user;
}

/** Opens the configured storages. `caches` releases the caches of their repositories. */
export async function openStorages(
  git: Git,
  { config, metrics, logger, family }: Pick<Foundation, 'config' | 'metrics' | 'logger' | 'family'>,
): Promise<{ storages: Storages; caches: RepositoryCaches }> {
  const caches = new RepositoryCaches(git, {
    catFileProcesses: config.git.catfileCacheSize,
    lookupObserver: observeLookups(),
    inProcess: new InProcess({
      isEnabled: config.git.inProcess,
      observer: observeInProcess(metrics.inProcess),
    }),
  });
  catFileMetrics(metrics.registry, () => ({ ...caches.catFiles.counts, members: caches.catFiles.members }));
  const storages = new Storages({
    storages: config.storage,
    caches,
    mover: runningCall,
    ...(family?.role === 'worker' && remoteAccounts(family.link)),
  });
  if (family?.role === 'supervisor') answerForAccounts(family.desk, storages);
  repositoryCountMetrics(metrics.registry, () => storages.repositoryCounts.entries());
  if (family?.role === 'worker') return { storages, caches }; // the supervisor does the rest
  storageSpaceMetrics(metrics.registry, storages.all);
  for (const storage of storages.all) {
    await ensureStorageMetadata(storage).catch((error: unknown) =>
      logger.error(
        { error: messageOf(error), storage: storage.name },
        'Unable to write gitaly metadata file',
      ),
    );
  }
  return { storages, caches };
}
