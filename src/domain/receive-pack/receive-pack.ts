import { writeChunk } from '#base/streams/copy-stream';
import { fallBackOnFailure } from '#git/command/in-process';
import { removeStaleQuarantines } from '#storage/quarantine/stale-quarantines';
import type { CapabilityAdvertisements } from '../git-service/capability-advertisements.ts';
import { SERVED, type ServiceResult } from '../git-service/service-streams.ts';
import type { HookManager } from '../hooks/hook-manager.ts';
import { pushAdvertisement } from './advertise-to-push.ts';
import { applyPush } from './apply-push.ts';
import { type GitReceivePackOptions, receiveByGit } from './git-receive-pack.ts';
import { HeldInput } from './held-input.ts';
import { preparePush, UPDATE_HOOK } from './prepare-push.ts';
import { type ProvedPush, provePush } from './prove-push.ts';
import type { Push } from './push.ts';
import { PushHooks } from './push-hooks.ts';
import { PushSettings } from './push-settings.ts';

export interface ReceivePackOptions extends GitReceivePackOptions {
  readonly hooks: HookManager;
  /** Of `git receive-pack`. */
  readonly capabilities: CapabilityAdvertisements;
}

/** Receives pushes, with the protocol, hooks, quarantine and votes of `git receive-pack`; see README.md. */
export class ReceivePack {
  readonly #options: ReceivePackOptions;

  constructor(options: ReceivePackOptions) {
    this.#options = options;
  }

  /**
   * Runs a push to its end. A refused push is no failure: the protocol reports it to the client,
   * and the result is exit code 0.
   *
   * @throws {GitStartError} when git cannot be started; errors of {@link ServiceStreams}.
   */
  async run(push: Push): Promise<ServiceResult> {
    const { hooks: manager, onHookError: onError, onSweepError } = this.#options;
    // An older push of this repository may have been killed.
    const sweeping = removeStaleQuarantines(push.repository.objectDirectory).catch(onSweepError);
    try {
      const settings = await PushSettings.read(push, manager);
      const hooks = new PushHooks(push, { manager, needed: settings.hooks, onError });
      const result = await this.#receive(push, settings, hooks);
      await hooks.ended(result);
      return result;
    } finally {
      await sweeping;
    }
  }

  async #receive(push: Push, settings: PushSettings, hooks: PushHooks): Promise<ServiceResult> {
    if (!(await this.#begins(push, settings))) {
      hooks.expectRules();
      return await receiveByGit(push, hooks, this.#options);
    }
    const input = new HeldInput(push.streams.input);
    const proved = await push.repository.inProcess.attempt<ProvedPush | 'nothing' | undefined>(
      'push',
      () =>
        beforeHooks(push, { settings, hooks, input }).catch((error: unknown) =>
          fallBackOnFailure(error, 'the push cannot be prepared'),
        ),
      () => undefined,
    );
    if (proved === 'nothing') return SERVED;
    if (proved === undefined) {
      await hooks.follow();
      const streams = { ...push.streams, input: input.replay() };
      return await receiveByGit({ ...push, isStateless: true, streams }, hooks, this.#options);
    }
    await using _ = proved.quarantine;
    return await applyPush(push, proved, hooks);
  }

  /** Begins a push in process, over SSH with the advertisement. Returns false if git has to. */
  async #begins(push: Push, settings: PushSettings): Promise<boolean> {
    const { onTrace, repository, streams } = push;
    // The trace needs a real `git receive-pack`.
    if (onTrace !== undefined || !repository.inProcess.isEnabled) return false;
    if (push.isStateless) return true;
    const pieces = await pushAdvertisement(push, settings, this.#options.capabilities);
    for (const piece of pieces ?? []) await writeChunk(streams.stdout, piece);
    return pieces !== undefined;
  }
}

/** Does what comes before the hooks. Nothing is changed, so that git can still receive the push. */
async function beforeHooks(
  push: Push,
  { settings, hooks, input }: { settings: PushSettings; hooks: PushHooks; input: HeldInput },
): Promise<ProvedPush | 'nothing'> {
  await using stack = new AsyncDisposableStack();
  const prepared = await preparePush(push, { settings, input, stack });
  if (prepared === 'nothing') return prepared;
  const proved = await provePush(push, prepared);
  await hooks.follow();
  if (proved.creations !== undefined && hooks.needed.has('update')) throw UPDATE_HOOK;
  input.release();
  stack.move();
  return proved;
}
