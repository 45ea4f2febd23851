import { GitalyError, prefixed, wrap, wrapped } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { isError } from '#base/is-error';
import { gitEnvironment, inheritedEnvironment } from '#git/command/environment';
import { objectIdProblem } from '#git/names/object-id';
import type { ObjectStore } from '#object-store/object-store';
import { voteHash } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { PushRules } from '#tokens/push-rules';
import type { InternalApi } from '../gitlab-api/internal-api.ts';
import { changesOf, type NamedReferences, namedReferences } from '../transactions/named-references.ts';
import type { Voter } from '../transactions/voter.ts';
import { checkAccess, quarantineOf } from './access.ts';
import { type CustomHookName, findCustomHooks, hasCustomHooks } from './custom-hook-files.ts';
import type { HookCall } from './hook-call.ts';
import { customHookEnvironment } from './hook-environment.ts';
import type { PushUser } from './payload.ts';
import { postReceiveText } from './post-receive-messages.ts';
import { checkLfsFiles } from './push-rules/check-lfs-files.ts';
import { checkPushRules } from './push-rules/check-push-rules.ts';
import { hasRules } from './push-rules/repository-rules.ts';
import { type ReferenceTransactionState, referenceTransactionVote } from './reference-transaction.ts';
import { runCustomHooks } from './run-custom-hooks.ts';

export interface HookManagerOptions {
  readonly storages: Storages;
  readonly api: InternalApi;
  readonly voter: Voter;
  /** `[hooks] custom_hooks_dir`; empty for none. */
  readonly customHooksDirectory: string;
  /** Store of Git LFS: pushes that name files which it does not have are refused. */
  readonly lfs?: ObjectStore | undefined;
  /** Notified of each hook that runs; returns what to call at its end, with the error if it fails. */
  readonly observe?: ((hook: string) => ((error?: unknown) => void) | undefined) | undefined;
  /** Returns additional variables for an operator's scripts. */
  readonly scriptVariables?: (() => Readonly<Record<string, string>>) | undefined;
  /** Called for failures in addition to the error that the caller gets. */
  readonly onWarning?: ((message: string, error: unknown) => void) | undefined;
}

/** The call of a hook after which the nodes of a cluster vote. */
type VotingCall = HookCall & { readonly references?: NamedReferences };

/** The change of one reference, with the arguments of git's update hook. */
export interface UpdateHookInput {
  readonly reference: Buffer;
  readonly oldValue: string;
  readonly newValue: string;
}

/**
 * Runs the hooks of a change: calls GitLab, runs the operator's scripts, takes part in the votes of
 * a cluster (README.md). Nothing is kept between calls.
 */
export class HookManager {
  readonly #options: HookManagerOptions;
  /** Scripts run git, so they get the same variables as git. */
  readonly #scriptEnvironment = textOnly(gitEnvironment({ inherited: inheritedEnvironment(process.env) }));

  constructor(options: HookManagerOptions) {
    this.#options = options;
  }

  get api(): InternalApi {
    return this.#options.api;
  }

  get customHooksDirectory(): string {
    return this.#options.customHooksDirectory;
  }

  /** True if the files of Git LFS that a push names must be in their store. */
  get requiresLfsFiles(): boolean {
    return this.#options.lfs !== undefined;
  }

  /** Warns the operator of something that no caller gets to see. */
  warn(message: string, error: unknown): void {
    this.#options.onWarning?.(message, error);
  }

  /**
   * Reports whether GitLab, rules or a script of the operator's check the objects of a change
   * before it is made.
   *
   * @param pushRules those of the token of the change.
   */
  async needsObjectCheck(repository: Repository, pushRules?: PushRules): Promise<boolean> {
    const { path } = repository;
    if (!this.api.standAlone || pushRules !== undefined || hasRules(repository)) return true;
    return await hasCustomHooks(path, this.customHooksDirectory, 'pre-receive');
  }

  /**
   * Checks the rules of token and repository, and access, and runs the scripts of `pre-receive`.
   *
   * @param changes lines `<old> <new> <reference>\n`.
   * @param requireHooks throws if later hooks of the push would be left out.
   * @throws {RuleRefusal} {NotAllowedError} {CustomHookError} and others: the push is refused.
   */
  async preReceive(call: HookCall, changes: Buffer, requireHooks?: () => Promise<void>): Promise<void> {
    // git locks them when the hook has ended.
    const references = call.payload.transaction && namedReferences(call.repository, changesOf(changes));
    await this.#onPrimary({ ...call, references }, 'pre-receive', async () => {
      const quarantine = quarantineOf(call);
      requireChanges(changes);
      await requireHooks?.();
      this.#requireName(call);
      const user = requireUser(call);
      if (user.protocol === '') throw internal('protocol not set');
      await checkPushRules(call, changes);
      await this.#checkLfsFiles(call, changes);
      await checkAccess(this.api, call, { user, changes, quarantine });
      await this.#runScripts(call, 'pre-receive', [], changes);
      await this.#announce(call);
    });
  }

  /** @throws {CustomHookError} and other errors, which refuse this reference. */
  async update(call: HookCall, update: UpdateHookInput): Promise<void> {
    await this.#onPrimary(call, 'update', async () => {
      const format = requireObjectFormat(call.payload.objectFormat);
      if (update.reference.length === 0) throw internal('hook got no reference');
      const [wrongOld, wrongNew] = [
        objectIdProblem(update.oldValue, format),
        objectIdProblem(update.newValue, format),
      ];
      if (wrongOld !== undefined) throw internal(`hook got invalid old value: ${wrongOld}`);
      if (wrongNew !== undefined) throw internal(`hook got invalid new value: ${wrongNew}`);
      if (call.payload.user === undefined) throw internal('payload has no receive hooks info');
      const args = [update.reference, update.oldValue, update.newValue];
      await this.#runScripts({ ...call, pushOptions: [] }, 'update', args, Buffer.alloc(0));
    });
  }

  /**
   * Reports a push to GitLab and runs the scripts of `post-receive`.
   *
   * @param changes the changes that were made.
   * @throws on any failure; nothing is undone.
   */
  async postReceive(call: HookCall, changes: Buffer): Promise<void> {
    await this.#onPrimary(call, 'post-receive', async () => {
      requireChanges(changes);
      const user = requireUser(call);
      this.#requireName(call);
      await this.#report(call, user, changes);
      await this.#runScripts(call, 'post-receive', [], changes);
    });
  }

  /**
   * Votes on what git is about to do, or did. @throws when the vote is lost.
   *
   * @param call.references what is locked after the vote.
   */
  async referenceTransaction(
    call: Pick<HookCall, 'payload' | 'signal'> & { readonly references?: NamedReferences },
    state: ReferenceTransactionState,
    changes: Buffer,
  ): Promise<void> {
    const { objectFormat, transaction } = call.payload;
    const format = requireObjectFormat(objectFormat);
    const vote = transaction && referenceTransactionVote(state, changes, format);
    if (vote === undefined || transaction === undefined) return;
    await this.#observed('reference-transaction', async () => {
      await this.#options.voter
        .vote(transaction, vote.phase, vote.hash, call)
        .catch(wrapped('error voting on transaction', 'UNKNOWN'));
    });
  }

  /** @param call.references what is locked after the vote that follows. */
  async #onPrimary(call: VotingCall, hook: CustomHookName, body: () => Promise<void>): Promise<void> {
    await this.#observed(hook, () => this.#voted(call, hook, body));
  }

  async #observed(hook: string, body: () => Promise<void>): Promise<void> {
    const end = this.#options.observe?.(hook);
    if (end === undefined) return await body();
    try {
      await body();
    } catch (error) {
      end(error);
      throw error;
    }
    end();
  }

  async #voted(call: VotingCall, hook: CustomHookName, body: () => Promise<void>): Promise<void> {
    const { transaction } = call.payload;
    if (transaction === undefined) return await body();
    if (transaction.primary) {
      try {
        await body();
      } catch (error) {
        // The other nodes wait for this vote; without this message they would wait until their
        // timeout.
        await this.#options.voter.stop(transaction, call).catch((failure: unknown) => {
          this.warn(`failed stopping transaction in ${hook} hook`, failure);
        });
        throw error;
      }
    }
    await this.#options.voter
      .vote(transaction, 'synchronized', voteHash(`synchronize ${hook} hook`), call)
      .catch(wrapped(`synchronizing ${hook} hook: vote failed`, 'UNKNOWN'));
  }

  async #checkLfsFiles(call: HookCall, changes: Buffer): Promise<void> {
    const { lfs } = this.#options;
    if (lfs === undefined) return;
    await checkLfsFiles(call, changes, lfs).catch((error: unknown) => {
      if (isError(error) && error.cause !== undefined)
        this.warn('cannot check files of Git LFS', error.cause);
      throw error;
    });
  }

  /**
   * Only GitLab needs its name of the repository; a push to a server without GitLab may do without.
   */
  #requireName({ repository }: HookCall): void {
    if (!this.api.standAlone && repository.glRepository === '') throw internal('repository not set');
  }

  async #announce(call: HookCall): Promise<void> {
    const isAnnounced = await this.api
      .preReceive(call.repository.glRepository, call)
      .catch(wrapped('calling pre_receive endpoint'));
    if (!isAnnounced) throw new Error('');
  }

  async #report(call: HookCall, user: PushUser, changes: Buffer): Promise<void> {
    const { repository, pushOptions, payload, output } = call;
    const { clientContext } = payload;
    const push = {
      glRepository: repository.glRepository,
      glId: user.userId,
      changes: changes.toString(),
      pushOptions,
      clientContext,
    };
    const answer = await this.api.postReceive(push, call).catch(prefixed('GitLab'));
    try {
      for (const piece of postReceiveText(answer.messages)) await output.stdout(Buffer.from(piece));
    } catch (error) {
      throw wrap(error, 'error writing messages to stream', 'UNKNOWN');
    }
    if (!answer.referenceCounterDecreased) throw new Error('');
  }

  async #runScripts(
    call: HookCall,
    hook: CustomHookName,
    args: readonly (string | Buffer)[],
    stdin: Buffer,
  ): Promise<void> {
    const { repository, payload, environment, pushOptions, output, signal, correlationId } = call;
    const scripts = await findCustomHooks(repository.path, this.#options.customHooksDirectory, hook);
    if (scripts.length === 0) return;
    const { storages } = this.#options;
    const env = customHookEnvironment({
      base: this.#scriptEnvironment,
      passed: inheritedEnvironment(environment),
      environment,
      payload,
      repositoryPath: storages.locate(payload.repository).path,
      pushOptions,
      gitBinary: storages.git.binary,
      correlationId,
    });
    await runCustomHooks(storages.git, {
      scripts,
      args,
      stdin,
      env: { ...this.#options.scriptVariables?.(), ...env },
      repositoryPath: repository.path,
      output,
      signal,
    }).catch(wrapped('executing custom hooks', 'UNKNOWN'));
  }
}

function requireChanges(changes: Buffer): void {
  if (changes.length === 0) throw internal('hook got no reference updates');
}

function requireUser({ payload: { user } }: HookCall): PushUser {
  if (user === undefined) throw internal('payload has no receive hooks info');
  if (user.userId === '') throw internal('user ID not set');
  return user;
}

function textOnly(environment: Readonly<Record<string, string | Uint8Array>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(environment).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}

function internal(message: string): GitalyError {
  return new GitalyError('INTERNAL', message);
}

/**
 * Checks the object format that a hooks payload names.
 *
 * @throws {Error} `looking up object hash: unknown object format: "x"`
 */
function requireObjectFormat(format: string): 'sha1' | 'sha256' {
  if (format === 'sha1' || format === 'sha256') return format;
  throw new Error(`looking up object hash: unknown object format: ${quote(format)}`);
}
