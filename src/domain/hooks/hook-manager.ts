import { realpathSync } from 'node:fs';
import { GitalyError, messageOf, wrap } from '#base/gitaly-error';
import { quote } from '#base/quote';
import { gitEnvironment, inheritedEnvironment } from '#git/command/environment';
import type { Repository } from '#storage/repository';
import type { Storages } from '#storage/storages';
import type { InternalApi } from '../gitlab-api/internal-api.ts';
import type { Voter } from '../transactions/voter.ts';
import { voteHash } from '../transactions/voter.ts';
import { type CustomHookName, findCustomHooks } from './custom-hook-files.ts';
import { customHookEnvironment, type HookEnvironment, relativeObjectDirectories } from './hook-environment.ts';
import type { HookOutput } from './hook-output.ts';
import type { HooksPayload, PushUser } from './payload.ts';
import { postReceiveText } from './post-receive-messages.ts';
import { type ReferenceTransactionState, referenceTransactionBallot } from './reference-transaction.ts';
import { runCustomHooks } from './run-custom-hooks.ts';

/** GitLab does not allow the change. */
export class NotAllowedError extends Error {
  override readonly name = 'NotAllowedError';
  /** What GitLab said, or why it could not be asked. */
  readonly reason: string;
  readonly userId: string;
  readonly protocol: string;
  readonly changes: Buffer;

  constructor(reason: string, { userId, protocol }: PushUser, changes: Buffer, options?: ErrorOptions) {
    super(`GitLab: ${reason}`, options);
    this.reason = reason;
    this.userId = userId;
    this.protocol = protocol;
    this.changes = changes;
  }
}

export interface HookManagerOptions {
  readonly storages: Storages;
  readonly api: InternalApi;
  readonly voter: Voter;
  /** `[hooks] custom_hooks_dir`; empty for none. */
  readonly customHooksDirectory: string;
  /** Told of what went wrong beside the error that the caller gets. */
  readonly onWarning?: ((message: string, error: unknown) => void) | undefined;
}

/** One call of a hook. */
export interface HookCall {
  /** Where it happens; `glRepository` is GitLab's name of it. */
  readonly repository: Repository;
  readonly payload: HooksPayload;
  /** Variables that git gave the hook. */
  readonly environment: HookEnvironment;
  readonly pushOptions: readonly string[];
  readonly output: HookOutput;
  readonly signal: AbortSignal;
  readonly correlationId: string;
  /** Address of whoever pushes, as the request says it. */
  readonly remoteIp?: string | undefined;
}

/**
 * What each hook does: asks GitLab, runs the operator's scripts, takes part in the votes of a cluster. Access is checked and
 * scripts run on one node of a cluster only, the primary; the others wait for it with a vote.
 */
export class HookManager {
  readonly #options: HookManagerOptions;

  constructor(options: HookManagerOptions) {
    this.#options = options;
  }

  get api(): InternalApi {
    return this.#options.api;
  }

  get customHooksDirectory(): string {
    return this.#options.customHooksDirectory;
  }

  /** @throws {NotAllowedError} {CustomHookError} and others: the push is refused. */
  async preReceive(call: HookCall, changes: Buffer): Promise<void> {
    await this.#onPrimary(call, 'pre-receive', async () => {
      const user = this.#requireUser(call, changes, { protocol: true });
      await this.#checkAccess(call, user, changes);
      await this.#runScripts(call, 'pre-receive', [], changes);
      await this.#announce(call);
    });
  }

  /** @throws {CustomHookError} and others: this reference is refused. */
  async update(call: HookCall, update: { reference: Buffer; oldValue: string; newValue: string }): Promise<void> {
    await this.#onPrimary(call, 'update', async () => {
      if (update.reference.length === 0) throw internal('hook got no reference');
      checkOid(call.payload.objectFormat, update.oldValue, 'old');
      checkOid(call.payload.objectFormat, update.newValue, 'new');
      if (call.payload.user === undefined) throw internal('payload has no receive hooks info');
      const args = [update.reference, update.oldValue, update.newValue];
      await this.#runScripts({ ...call, pushOptions: [] }, 'update', args, Buffer.alloc(0));
    });
  }

  /** @throws on any failure; the references have changed already. */
  async postReceive(call: HookCall, changes: Buffer): Promise<void> {
    await this.#onPrimary(call, 'post-receive', async () => {
      const user = this.#requireUser(call, changes, { protocol: false });
      await this.#report(call, user, changes);
      await this.#runScripts(call, 'post-receive', [], changes);
    });
  }

  /** Votes on what git is about to do, or did. @throws when the vote is lost. */
  async referenceTransaction(
    call: Pick<HookCall, 'payload' | 'signal'>,
    state: ReferenceTransactionState,
    changes: Buffer,
  ): Promise<void> {
    const { objectFormat, transaction } = call.payload;
    if (objectFormat !== 'sha1' && objectFormat !== 'sha256') {
      throw new Error(`looking up object hash: unknown object format: ${quote(objectFormat)}`);
    }
    const ballot = referenceTransactionBallot(state, changes, objectFormat);
    if (ballot === undefined || transaction === undefined) return;
    try {
      await this.#options.voter.vote(transaction, ballot.phase, ballot.hash, call);
    } catch (error) {
      throw wrap(error, 'error voting on transaction', 'UNKNOWN');
    }
  }

  async #onPrimary(call: HookCall, hook: CustomHookName, body: () => Promise<void>): Promise<void> {
    const { transaction } = call.payload;
    if (transaction === undefined) return await body();
    if (transaction.primary) {
      try {
        await body();
      } catch (error) {
        // The other nodes wait for us; without this word they would until their patience ends.
        await this.#options.voter.stop(transaction, call).catch((failure: unknown) => {
          this.#options.onWarning?.(`failed stopping transaction in ${hook} hook`, failure);
        });
        throw error;
      }
    }
    try {
      await this.#options.voter.vote(transaction, 'synchronized', voteHash(`synchronize ${hook} hook`), call);
    } catch (error) {
      throw wrap(error, `synchronizing ${hook} hook: vote failed`, 'UNKNOWN');
    }
  }

  #requireUser(call: HookCall, changes: Buffer, { protocol }: { protocol: boolean }): PushUser {
    const { user } = call.payload;
    if (protocol) this.#quarantine(call);
    if (changes.length === 0) throw internal('hook got no reference updates');
    // Only GitLab needs its name of the repository; a push to a server without GitLab may do without.
    const missesName = !this.#options.api.standAlone && call.repository.glRepository === '';
    if (protocol && missesName) throw internal('repository not set');
    if (user === undefined) throw internal('payload has no receive hooks info');
    if (user.userId === '') throw internal('user ID not set');
    if (protocol && user.protocol === '') throw internal('protocol not set');
    if (missesName) throw internal('repository not set');
    return user;
  }

  async #checkAccess(call: HookCall, user: PushUser, changes: Buffer): Promise<void> {
    const { repository, payload, pushOptions } = call;
    const directories = this.#quarantine(call);
    const check = {
      glRepository: repository.glRepository,
      repositoryPath: repository.path,
      relativePath: repository.relativePath,
      objectDirectory: directories?.objectDirectory ?? '',
      alternateObjectDirectories: directories?.alternateObjectDirectories,
      glId: user.userId,
      protocol: user.protocol,
      changes: changes.toString(),
      pushOptions,
      clientContext: payload.clientContext,
    };
    let decision: { allowed: boolean; message: string };
    try {
      decision = await this.#options.api.allowed(check, call);
    } catch (error) {
      throw new NotAllowedError(messageOf(error), user, changes, { cause: error });
    }
    if (!decision.allowed) throw new NotAllowedError(decision.message, user, changes);
  }

  async #announce(call: HookCall): Promise<void> {
    let ok: boolean;
    try {
      ok = await this.#options.api.preReceive(call.repository.glRepository, call);
    } catch (error) {
      throw wrap(error, 'calling pre_receive endpoint');
    }
    if (!ok) throw new Error('');
  }

  async #report(call: HookCall, user: PushUser, changes: Buffer): Promise<void> {
    const { repository, pushOptions, payload, output } = call;
    const push = {
      glRepository: repository.glRepository,
      glId: user.userId,
      changes: changes.toString(),
      pushOptions,
      clientContext: payload.clientContext,
    };
    const answer = await this.#options.api.postReceive(push, call).catch((error: unknown) => {
      throw new Error(`GitLab: ${messageOf(error)}`, { cause: error });
    });
    try {
      for (const piece of postReceiveText(answer.messages)) await output.stdout(Buffer.from(piece));
    } catch (error) {
      throw wrap(error, 'error writing messages to stream', 'UNKNOWN');
    }
    if (!answer.referenceCounterDecreased) throw new Error('');
  }

  /** The quarantine that the changes' objects are in, relative to the repository. */
  #quarantine({ repository, environment }: HookCall) {
    try {
      const told = relativeObjectDirectories(realpathSync(repository.path), environment);
      if (told !== undefined) return told;
    } catch (error) {
      throw wrap(error, 'getting relative git object directories');
    }
    if (repository.objectDirectory === `${repository.path}/objects`) return undefined;
    return relativeObjectDirectories(repository.path, {
      GIT_OBJECT_DIRECTORY: repository.objectDirectory,
      GIT_ALTERNATE_OBJECT_DIRECTORIES: repository.alternateObjectDirectories.join(':'),
    });
  }

  async #runScripts(call: HookCall, hook: CustomHookName, args: readonly (string | Buffer)[], stdin: Buffer): Promise<void> {
    const { repository, payload, environment, pushOptions, output, signal, correlationId } = call;
    const scripts = await findCustomHooks(repository.path, this.#options.customHooksDirectory, hook);
    if (scripts.length === 0) return;
    const { storages } = this.#options;
    const env = customHookEnvironment({
      base: baseEnvironment(),
      passed: inheritedEnvironment(environment),
      environment,
      payload,
      repositoryPath: storages.locate(payload.repository).path,
      pushOptions,
      gitBinary: storages.git.binary,
      correlationId,
    });
    try {
      await runCustomHooks(storages.git, { scripts, args, stdin, env, repositoryPath: repository.path, output, signal });
    } catch (error) {
      throw wrap(error, 'executing custom hooks', 'UNKNOWN');
    }
  }
}

/** What git itself gets from us goes for scripts as well: they run git. */
function baseEnvironment(): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(gitEnvironment({ inherited: inheritedEnvironment(process.env) }))) {
    if (typeof value === 'string') environment[name] = value;
  }
  return environment;
}

function checkOid(objectFormat: string, oid: string, which: 'old' | 'new'): void {
  const length = { sha1: 40, sha256: 64 }[objectFormat];
  if (length === undefined) throw new Error(`looking up object hash: unknown object format: ${quote(objectFormat)}`);
  const bytes = Buffer.byteLength(oid);
  const prefix = `hook got invalid ${which} value: invalid object ID: ${quote(oid)}`;
  if (bytes !== length) throw internal(`${prefix}, expected length ${length}, got ${bytes}`);
  const bad = /[^0-9a-f]/u.exec(oid)?.[0];
  if (bad !== undefined) throw internal(`${prefix}, invalid character '${quote(bad).slice(1, -1)}'`);
}

function internal(message: string): GitalyError {
  return new GitalyError('INTERNAL', message);
}
