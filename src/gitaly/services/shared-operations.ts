import { messageOf } from '#base/gitaly-error';
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
import { SigningKeys } from '#domain/signing/signing-keys';
import { type TransactionHooks, transactionHooks } from '#domain/transactions/transaction-hooks';
import { Voter } from '#domain/transactions/voter';
import type { HandlerContext } from '#rpc/server/handler';
import { transactionOf } from '#services/convert/request/push-context';
import type { Vote } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { Foundation } from '../foundation.ts';
import type { Repositories } from '../repositories.ts';
import { type Buckets, openBuckets } from './buckets.ts';
import { internalApi } from './internal-api.ts';

/** Domain operations that several services share. */
export interface SharedOperations {
  readonly hooks: HookManager;
  readonly directories: HooksDirectories;
  readonly onHookError: (error: unknown) => void;
  readonly voter: Voter;
  readonly voteOf: (context: HandlerContext) => Vote | undefined;
  readonly transactionHooks: (
    context: HandlerContext,
    repository: Repository,
  ) => TransactionHooks | undefined;
  readonly remotes: RemoteRepositories;
  readonly signingKeys: SigningKeys | undefined;
  readonly commitSigning: CommitSigning;
  readonly buckets: Buckets;
  readonly bundleUris: BundleUris | undefined;
  /** Fills fields that clients of 15.0 read and later ones do not. */
  readonly fillsOldFields: boolean;
}

/** All that the groups of services are built from. */
export interface ServiceFoundation extends Foundation, Repositories, SharedOperations {}

/** Creates the operations that services share. `resources` ends them. */
export async function createSharedOperations(
  foundation: Foundation,
  storages: Storages,
  resources: AsyncDisposableStack,
): Promise<SharedOperations> {
  const { backchannels, config, logger, metrics, programs, runtime } = foundation;
  const voter = new Voter({
    connect: votesOverBackchannels(backchannels),
    observeDelay: metrics.observeVotingDelay,
  });
  const hooks = await createHooks(foundation, storages, voter);
  const remotes = resources.use(new RemoteRepositories());
  const directories = resources.use(
    await HooksDirectories.create(runtime.path, programs.path('gitaly-hooks')),
  );
  const onHookError = (error: unknown): void =>
    logger.error({ error: messageOf(error) }, 'error executing git hook');
  const voteOf = (context: HandlerContext): Vote | undefined =>
    voter.voteOf(transactionOf(context), { signal: context.signal });
  const buckets = await openBuckets(config, logger);
  return {
    hooks,
    directories,
    onHookError,
    voter,
    voteOf,
    transactionHooks: (context, repository) => {
      const vote = voteOf(context);
      return vote && transactionHooks(repository, { vote, directories, onError: onHookError });
    },
    remotes,
    ...(await createSigning(foundation)),
    buckets,
    bundleUris: buckets.bundleUri && new BundleUris(buckets.bundleUri, metrics.backups.observeBundleUri),
    fillsOldFields: Number.parseFloat(config.compatibility.oldestClient) < 16,
  };
}

async function createHooks(
  { config, logger, metrics, tracing }: Foundation,
  storages: Storages,
  voter: Voter,
): Promise<HookManager> {
  return new HookManager({
    storages,
    api: await gitlabApi(),
    voter,
    customHooksDirectory: config.hooks.customHooksDir ?? '',
    ...(tracing && {
      observe: (hook: string) => tracing.hook(runningCall(), hook),
      scriptVariables: () => traceVariables(tracing),
    }),
    onWarning: (message, error) => logger.warn({ error: messageOf(error) }, message),
  });

  async function gitlabApi(): Promise<InternalApi> {
    if (parseBool(process.env.GITALY_TESTING_NO_GIT_HOOKS ?? '') !== true)
      return await internalApi(config, observeApi(metrics, logger));
    logger.warn(
      'skipping GitLab API client creation since hooks are bypassed via GITALY_TESTING_NO_GIT_HOOKS',
    );
    return standAloneApi;
  }
}

async function createSigning({
  config,
  logger,
}: Foundation): Promise<Pick<SharedOperations, 'commitSigning' | 'signingKeys'>> {
  const { signingKey = '', rotatedSigningKeys: rotated, committerName, committerEmail } = config.git;
  const signingKeys = signingKey === '' ? undefined : new SigningKeys({ signingKey, rotated });
  await signingKeys?.all().catch((error: unknown) => {
    logger.warn(
      { error: messageOf(error) },
      'a signing key cannot be used: calls that need it fail until its file is replaced',
    );
  });
  return {
    signingKeys,
    commitSigning: new CommitSigning({ keys: signingKeys, committerName, committerEmail }),
  };
}
