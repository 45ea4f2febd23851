import type { HookManager } from '../hooks/hook-manager.ts';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import { answerHook, type Print, type RelayHandler } from '../hooks/relay/relay.ts';
import type { RelayCall } from '../hooks/relay/relay-parser.ts';
import { pushHookHandler } from './push-hooks.ts';
import type { PushVotes } from './push-votes.ts';
import type { Push } from './receive-pack.ts';

export interface CalledHooksOptions {
  readonly manager: HookManager;
  /** The hooks that git would start. */
  readonly started: ReadonlySet<RelayedHook>;
  readonly votes: PushVotes;
  readonly onError: (error: unknown) => void;
}

/** The input of a hook, as git passes it. */
export type HookInput = Partial<Pick<RelayCall, 'args' | 'environment' | 'pushOptions' | 'stdin'>>;

/** Calls the hooks of a push like `git receive-pack`, without programs. */
export class CalledHooks {
  readonly #options: CalledHooksOptions;
  readonly #handle: RelayHandler;

  constructor(push: Push, options: CalledHooksOptions) {
    this.#options = options;
    this.#handle = pushHookHandler(options.manager, push, options.votes);
  }

  /** Reports whether a call of this hook does anything. */
  has(hook: RelayedHook): boolean {
    return this.#options.started.has(hook);
  }

  /** Warns the operator of a problem of which the client gets no details. */
  warn(message: string, error: unknown): void {
    this.#options.manager.warn(message, error);
  }

  /** Calls a hook, and returns true if it accepts the change. */
  async accepts(hook: RelayedHook, input: HookInput, print: Print): Promise<boolean> {
    if (!this.has(hook)) return true;
    const whole = { hook, args: [], environment: {}, pushOptions: [], stdin: Buffer.alloc(0), ...input };
    const status = await answerHook(this.#handle, whole, print, this.#options.onError);
    return (status & 0xff) === 0;
  }
}
