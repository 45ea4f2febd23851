import { writeChunk } from '#base/streams/copy-stream';
import { fallBackOnFailure } from '#git/command/in-process';
import { removeStaleQuarantines } from '#storage/quarantine/stale-quarantines';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import type { ServiceResult } from '../git-service/service-streams.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import type { RelayedHook } from '../hooks/hooks-directories.ts';
import { pushAdvertisement } from './advertise-to-push.ts';
import { applyPush } from './apply-push.ts';
import { CalledHooks } from './called-hooks.ts';
import { HeldInput } from './held-input.ts';
import { type PreparedPush, preparePush } from './prepare-push.ts';
import { neededHooks } from './push-hooks.ts';
import { PushVotes } from './push-votes.ts';
import type { Push, ReceivePack } from './receive-pack.ts';

export interface InProcessReceivePackOptions {
  /** Receives all pushes that are not received here. */
  readonly git: ReceivePack;
  readonly hooks: HookManager;
  /** Of `git receive-pack`. */
  readonly capabilities: CapabilityAdvertisements;
  readonly onHookError?: ((error: unknown) => void) | undefined;
  /** Receives errors of the removal of quarantines that killed pushes left. */
  readonly onSweepError: (error: unknown) => void;
}

const SUCCESS: ServiceResult = {
  exit: { code: 0, signal: undefined, usage: undefined, realMs: 0, ended: undefined },
  stderr: '',
};

/**
 * Pushes of a few objects to one reference, or to many new ones, without `git receive-pack`: git
 * only unpacks the objects, and moves the reference. Output, votes and refusals are those of
 * receive-pack. It gets every push that is not certain to be a plain one, before anything has
 * changed.
 */
export class InProcessReceivePack implements ReceivePack {
  readonly #options: InProcessReceivePackOptions;

  constructor(options: InProcessReceivePackOptions) {
    this.#options = options;
  }

  async run(push: Push): Promise<ServiceResult> {
    const { git } = this.#options;
    // The trace needs a real `git receive-pack`.
    if (push.onTrace !== undefined || !push.repository.inProcess.isEnabled) return await git.run(push);
    if (!push.isStateless && !(await this.#advertise(push))) return await git.run(push);
    const input = new HeldInput(push.streams.input);
    const needsHook = async (hook: RelayedHook): Promise<boolean> =>
      (await neededHooks(this.#options.hooks, push)).has(hook);
    const prepared = await push.repository.inProcess.attempt<PreparedPush | 'nothing' | undefined>(
      'push',
      () =>
        preparePush(push, input, { needsHook }).catch((error: unknown) =>
          fallBackOnFailure(error, 'the push cannot be prepared'),
        ),
      () => undefined,
    );
    if (prepared === 'nothing') return SUCCESS;
    if (prepared === undefined) {
      const streams = { ...push.streams, input: input.replay() };
      return await git.run({ ...push, isStateless: true, streams });
    }
    await using received = prepared;
    const { onSweepError } = this.#options;
    const sweeping = removeStaleQuarantines(push.repository.objectDirectory).catch(onSweepError);
    try {
      return await this.#apply(push, received);
    } finally {
      await sweeping;
    }
  }

  /** Begins a conversation. Returns false if git has to. */
  async #advertise(push: Push): Promise<boolean> {
    const { repository, config, gitProtocol, signal, streams } = push;
    const asked = { config, gitProtocol, signal };
    const pieces = await pushAdvertisement(repository, asked, this.#options.capabilities);
    for (const piece of pieces ?? []) await writeChunk(streams.stdout, piece);
    return pieces !== undefined;
  }

  async #apply(push: Push, prepared: PreparedPush): Promise<ServiceResult> {
    const { hooks: manager, onHookError } = this.#options;
    const started = await neededHooks(manager, push);
    const { batchedPushes: areBatched } = push.repository.git.capabilities;
    const votes = new PushVotes({ manager, started, areBatched });
    const onError = (error: unknown): void => onHookError?.(error);
    const hooks = new CalledHooks(push, { manager, started, votes, onError });
    const result = await applyPush(push, prepared, hooks);
    if (push.transaction !== undefined && result.exit.code === 0)
      await votes.ended(push.signal).catch(onError);
    return result;
  }
}
