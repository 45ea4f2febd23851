import { messageOf } from '#base/gitaly-error';
import { votesOverBackchannels } from '#calls/reverse-votes';
import { CommitSigning } from '#domain/commit/commit-signing';
import { HooksDirectories } from '#domain/hooks/hooks-directories';
import { RemoteRepositories } from '#domain/remote/server/remote-repositories';
import { openSigningKeys } from '#domain/signing/signing-keys';
import { transactionHooks } from '#domain/transactions/transaction-hooks';
import { Voter } from '#domain/transactions/voter';
import type { HandlerContext } from '#rpc/server/handler';
import { transactionOf } from '#services/convert/request/push-context';
import type { Storages } from '#storage/storages';
import type { Foundation } from '../foundation.ts';
import { openBuckets } from './buckets.ts';
import { createHooks } from './hooks.ts';
import { openBundleUris } from './open-bundle-uris.ts';

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
