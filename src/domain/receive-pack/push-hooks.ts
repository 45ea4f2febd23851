import { messageOf } from '#base/gitaly-error';
import { isRateLimited } from '../gitlab-api/internal-api.ts';
import { hasCustomHooks } from '../hooks/custom-hook-files.ts';
import type { HookCall } from '../hooks/hook-call.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import type { HookOutput } from '../hooks/hook-output.ts';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import { parseReferenceTransactionState } from '../hooks/reference-transaction.ts';
import type { RelayHandler } from '../hooks/relay/relay.ts';
import type { RelayCall } from '../hooks/relay/relay-parser.ts';
import { customHookErrorOf } from '../hooks/run-custom-hooks.ts';
import type { PushVotes } from './push-votes.ts';
import type { Push } from './receive-pack.ts';

/**
 * Returns the hooks that have an effect on this push. A hook that git does not start costs nothing,
 * and most hooks have nothing to do:
 *
 * - In a cluster, the nodes wait in `pre-receive` for the primary, and vote in
 *   `reference-transaction`. The votes of the other hooks need no process ({@link PushVotes}).
 * - GitLab is called before the push and after it; in a cluster by the primary.
 * - The rules of a token are checked before the push.
 * - Otherwise a hook runs only if an operator has installed a script.
 */
export async function neededHooks(manager: HookManager, push: Push): Promise<ReadonlySet<RelayedHook>> {
  const { transaction } = push;
  const needed = new Set<RelayedHook>();
  if (transaction !== undefined) needed.add('pre-receive').add('reference-transaction');
  const isSecondary = transaction?.primary === false;
  if (!manager.api.standAlone && !isSecondary) needed.add('pre-receive').add('post-receive');
  if (push.pushRules !== undefined) needed.add('pre-receive');
  for (const hook of ['pre-receive', 'update', 'post-receive'] as const) {
    // A secondary node waits in `update` for the scripts of the primary, which has the same.
    if (needed.has(hook) || (isSecondary && hook === 'post-receive')) continue;
    if (await hasCustomHooks(push.repository.path, manager.customHooksDirectory, hook)) needed.add(hook);
  }
  return needed;
}

/**
 * Answers git's hooks of one push. Statuses and texts are those that Gitaly's hook program exits
 * with and prints.
 */
export function pushHookHandler(manager: HookManager, push: Push, votes: PushVotes): RelayHandler {
  const { target, transaction, user, clientContext } = push;
  const { objectFormat } = push.repository;
  return async (call, output) => {
    const hookCall: HookCall = {
      repository: push.repository,
      payload: { repository: target, objectFormat, transaction, user, clientContext },
      environment: call.environment,
      pushOptions: call.pushOptions,
      pushRules: push.pushRules,
      output,
      signal: push.signal,
      correlationId: push.correlationId,
      remoteIp: user.remoteIp,
    };
    try {
      await run({ manager, votes }, hookCall, call);
      return 0;
    } catch (error) {
      return await refuse(call, output, error);
    }
  };
}

async function run(
  { manager, votes }: { readonly manager: HookManager; readonly votes: PushVotes },
  hookCall: HookCall,
  { hook, args, stdin }: RelayCall,
): Promise<void> {
  const [first = Buffer.alloc(0), oldValue = '', newValue = ''] = args;
  switch (hook) {
    case 'pre-receive':
      await manager.preReceive(hookCall, stdin);
      return votes.allowed(hookCall, stdin);
    case 'update':
      return await manager.update(hookCall, {
        reference: first,
        oldValue: oldValue.toString(),
        newValue: newValue.toString(),
      });
    case 'post-receive':
      await votes.beforePostReceive(hookCall);
      return await manager.postReceive(hookCall, stdin);
    case 'reference-transaction': {
      const state = parseReferenceTransactionState(first.toString());
      if (state === undefined) throw new Error(`reference-transaction hook has invalid state: "${first}"`);
      // Newer versions of git announce a transaction before they take locks. Gitaly's hook does not
      // vote on that.
      if (state === 'preparing') return;
      if (state === 'prepared') await votes.beforePrepared(hookCall, stdin);
      if (state === 'committed') await votes.committed(hookCall, stdin);
      return await manager.referenceTransaction(hookCall, state, stdin);
    }
    default:
      throw new Error(`subcommand name invalid: "${hook}"`);
  }
}

/**
 * Prints the reason of a refusal. A script has printed its own output already. The reasons of the
 * server's checks are shown to the user; the causes of server errors are not.
 */
async function refuse({ hook }: RelayCall, output: HookOutput, error: unknown): Promise<number> {
  const script = customHookErrorOf(error);
  if (script !== undefined) return script.exitCode;
  const isForUser =
    (hook === 'pre-receive' || hook === 'post-receive') && !(hook === 'pre-receive' && isRateLimited(error));
  if (!isForUser) throw error;
  await output.stderr(Buffer.from(messageOf(error)));
  return 1;
}
