import { parseConfigOptions } from '#domain/git-service/config-options';
import type { Push } from '#domain/receive-pack/receive-pack';
import type { HandlerContext } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { PostReceivePackRequest } from '#wire/gen/smarthttp_pb';
import type { SSHReceivePackRequest } from '#wire/gen/ssh_pb';
import { clientContextOf, remoteIpOf, transactionOf } from './push-context.ts';

/**
 * Returns the push that the first message of PostReceivePack or SSHReceivePack asks for: all but
 * its streams and their signal.
 *
 * @throws {GitalyError} for a repository that does not exist, or an invalid `git_config_options`.
 */
export function requestedPush(
  first: PostReceivePackRequest | SSHReceivePackRequest,
  protocol: 'http' | 'ssh',
  context: HandlerContext,
  storages: Storages,
): Omit<Push, 'streams' | 'signal'> {
  const repository = storages.open(first.repository);
  return {
    repository,
    target: first.repository ?? repository,
    user: { username: first.glUsername, userId: first.glId, protocol, remoteIp: remoteIpOf(context) },
    isStateless: protocol === 'http',
    gitProtocol: first.gitProtocol,
    config: parseConfigOptions(first.gitConfigOptions),
    transaction: transactionOf(context),
    clientContext: clientContextOf(context),
    correlationId: context.correlationId,
  };
}
