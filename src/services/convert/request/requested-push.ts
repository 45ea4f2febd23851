import { invalidArgument } from '#base/gitaly-error';
import { parseConfigOptions } from '#domain/git-service/config-options';
import type { Push } from '#domain/receive-pack/push';
import type { FeatureFlag } from '#platform/flags/feature-flags';
import { REFERENCE_RULES, REFERENCE_RULES_REQUIRED } from '#rpc/common/header-names';
import type { HandlerContext } from '#rpc/server/handler';
import type { Storages } from '#storage/storages';
import type { PostReceivePackRequest } from '#wire/gen/smarthttp_pb';
import type { SSHReceivePackRequest } from '#wire/gen/ssh_pb';
import { clientContextOf, pushRulesOf, remoteIpOf, transactionOf } from './push-context.ts';

/** On: the log line has the commands of a push, and the time of each. */
const RECEIVE_PACK_TRACE2_HOOK: FeatureFlag = { name: 'receive_pack_trace2_hook', onByDefault: false };

/**
 * Returns the push that the first message of PostReceivePack or SSHReceivePack requests: all but
 * its streams and their signal.
 *
 * @throws {GitalyError} for a repository that does not exist, an invalid `git_config_options`, or
 *   invalid rules.
 */
export function requestedPush(
  first: PostReceivePackRequest | SSHReceivePackRequest,
  protocol: 'http' | 'ssh',
  context: HandlerContext,
  storages: Storages,
): Omit<Push, 'streams' | 'signal'> {
  const repository = storages.open(first.repository);
  const options = first.gitConfigOptions.filter((option) => option !== REFERENCE_RULES_REQUIRED);
  const pushRules = pushRulesOf(context);
  if (pushRules === undefined && options.length < first.gitConfigOptions.length)
    throw invalidArgument(
      `reference rules: ${REFERENCE_RULES_REQUIRED} without the metadata ${REFERENCE_RULES}`,
    );
  context.user = { id: first.glId, name: first.glUsername };
  return {
    repository,
    target: first.repository ?? repository,
    user: { username: first.glUsername, userId: first.glId, protocol, remoteIp: remoteIpOf(context) },
    isStateless: protocol === 'http',
    gitProtocol: first.gitProtocol,
    config: parseConfigOptions(options),
    transaction: transactionOf(context),
    clientContext: clientContextOf(context),
    pushRules,
    correlationId: context.correlationId,
    ...(context.flags.isEnabled(RECEIVE_PACK_TRACE2_HOOK) && {
      onTrace: (fields) => context.log.add(fields),
    }),
  };
}
