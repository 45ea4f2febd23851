import { messageOf } from '#base/gitaly-error';
import type { ServiceResult } from '../git-service/service-streams.ts';
import { isRateLimited } from '../gitlab-api/internal-api.ts';
import type { HookCall } from '../hooks/hook-call.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import type { HookOutput } from '../hooks/hook-output.ts';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import { RuleRefusal } from '../hooks/push-rules/push-changes.ts';
import { parseReferenceTransactionState } from '../hooks/reference-transaction.ts';
import { answerHook, type Print, type RelayHandler } from '../hooks/relay/relay.ts';
import type { RelayCall } from '../hooks/relay/relay-parser.ts';
import { customHookErrorOf } from '../hooks/run-custom-hooks.ts';
import type { Push } from './push.ts';
import { neededHooks } from './push-settings.ts';
import { PushVotes } from './push-votes.ts';

export interface PushHooksOptions {
  readonly manager: HookManager;
  /** The hooks that have an effect on the push. */
  readonly needed: ReadonlySet<RelayedHook>;
  /** Receives the errors of which the client gets no details. */
  readonly onError: (error: unknown) => void;
}

/** The input of a hook, as git passes it. */
export type HookInput = Partial<Pick<RelayCall, 'args' | 'environment' | 'pushOptions' | 'stdin'>>;

/**
 * The hooks and votes of one push. Statuses and texts are those that Gitaly's hook program exits
 * with and prints.
 */
export class PushHooks {
  readonly #options: PushHooksOptions;
  readonly #push: Push;
  readonly #votes: PushVotes;
  #needed: ReadonlySet<RelayedHook>;

  constructor(push: Push, options: PushHooksOptions) {
    const { manager, needed } = options;
    const { batchedPushes: areBatched } = push.repository.git.capabilities;
    this.#options = options;
    this.#push = push;
    this.#needed = needed;
    this.#votes = new PushVotes({ manager, isStarted: (hook) => this.#needed.has(hook), areBatched });
  }

  /**
   * Returns the function that answers the hooks of git. It refuses a push for which git would not
   * start a hook that the repository got while git waited for the client.
   *
   * @param signal ends them
   */
  handlerForGit(signal: AbortSignal): RelayHandler {
    const started = this.#needed;
    return this.#handler(signal, async () => {
      const needed = await neededHooks(this.#options.manager, this.#push);
      if (!needed.isSubsetOf(started))
        throw new RuleRefusal('the hooks of the repository have changed since the push began: push again');
    });
  }

  #handler(signal: AbortSignal, requireHooks?: () => Promise<void>): RelayHandler {
    const { target, transaction, user, clientContext, repository, pushRules, correlationId } = this.#push;
    const { objectFormat } = repository;
    return async (call, output) => {
      const hookCall: HookCall = {
        repository,
        payload: { repository: target, objectFormat, transaction, user, clientContext },
        environment: call.environment,
        pushOptions: call.pushOptions,
        pushRules,
        output,
        signal,
        correlationId,
        remoteIp: user.remoteIp,
      };
      try {
        await run({ manager: this.#options.manager, votes: this.#votes, requireHooks }, hookCall, call);
        return 0;
      } catch (error) {
        return await refuse(call, output, error);
      }
    };
  }

  /** The hooks that do anything. */
  get needed(): ReadonlySet<RelayedHook> {
    return this.#needed;
  }

  /** Includes those that the repository got while the push waited for its client: rules and scripts. */
  async follow(): Promise<void> {
    this.#needed = this.#needed.union(await neededHooks(this.#options.manager, this.#push));
  }

  /**
   * Includes the hook that checks rules. The repository may get some while git, which must know its
   * hooks when it starts, waits for the client. In a cluster, the nodes wait for each other in the
   * same hook.
   */
  expectRules(): void {
    this.#needed = new Set([...this.#needed, 'pre-receive']);
  }

  /** Warns the operator of a problem of which the client gets no details. */
  warn(message: string, error: unknown): void {
    this.#options.manager.warn(message, error);
  }

  /** Calls a hook like git, without a program. Returns true if it accepts the change. */
  async accepts(hook: RelayedHook, input: HookInput, print: Print): Promise<boolean> {
    if (!this.needed.has(hook)) return true;
    const whole = { hook, args: [], environment: {}, pushOptions: [], stdin: Buffer.alloc(0), ...input };
    const status = await answerHook(this.#handler(this.#push.signal), whole, print, this.#options.onError);
    return (status & 0xff) === 0;
  }

  /** Casts the votes that are due when a push has ended. */
  async ended({ exit }: ServiceResult): Promise<void> {
    const { signal, transaction } = this.#push;
    if (transaction === undefined || exit.code !== 0) return;
    await this.#votes.ended(signal).catch(this.#options.onError);
  }
}

interface HookRun {
  readonly manager: HookManager;
  readonly votes: PushVotes;
  /** Throws if git would leave out a hook. */
  readonly requireHooks: (() => Promise<void>) | undefined;
}

async function run(
  { manager, votes, requireHooks }: HookRun,
  hookCall: HookCall,
  { hook, args, stdin }: RelayCall,
): Promise<void> {
  const [first = Buffer.alloc(0), oldValue = '', newValue = ''] = args;
  switch (hook) {
    case 'pre-receive':
      await manager.preReceive(hookCall, stdin, requireHooks);
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
