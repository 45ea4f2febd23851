import { codeOf, GitalyError } from '#base/gitaly-error';
import { writeChunk } from '#base/streams/copy-stream';
import { RepeatableInput } from '#base/streams/repeatable-input';
import type { CallOptions } from '#client/call/call-types';
import type { Stdio } from '#client/git/git-streams';
import { receivePack, uploadArchive } from '#client/git/ssh-commands';
import { uploadPackWithSidechannel } from '#client/git/upload-pack-with-sidechannel';
import { accessTo } from '#tokens/scope';
import type { AccessEntry } from '../access/access-entry.ts';
import { callMetadata } from '../call-metadata.ts';
import type { RepositoryCreator } from '../create-on-push.ts';
import { AdvertisementWatch, withoutAdvertisement } from '../empty-advertisement.ts';
import { type GitalyLink, reach } from '../gitaly-link.ts';
import { type Identity, mayCreate } from '../identity.ts';
import type { RepositoryInit, RepositoryMapping } from '../repository-mapping.ts';
import { RepositoryNames } from '../repository-names.ts';
import type { RepositoryPath } from '../repository-path.ts';
import { explainUnknownRules, requiredRules } from '../required-rules.ts';
import type { SshAccessRequest } from './authentication.ts';
import type { ServedCommand } from './git-command.ts';

export interface CommandRunnerOptions {
  readonly link: GitalyLink;
  readonly mapping: RepositoryMapping;
  readonly creator: RepositoryCreator | undefined;
  readonly authorize: ((request: SshAccessRequest) => Promise<boolean> | boolean) | undefined;
  readonly onFailure: ((error: unknown) => void) | undefined;
}

/** A command of a logged-in user. */
export interface CommandRun {
  readonly command: ServedCommand;
  readonly identity: Identity;
  readonly remoteAddress: string | undefined;
  /** `version=1`, `version=2` or empty. */
  readonly gitProtocol: string;
  readonly io: Stdio;
  /** Notes what is received, for the access log. */
  readonly access?: AccessEntry | undefined;
  /** Aborts when the client disconnects. */
  readonly signal: AbortSignal;
}

/** Takes each command through the same steps: authorize, map, forward to Gitaly. */
export class CommandRunner {
  readonly #options: CommandRunnerOptions;
  readonly #names: RepositoryNames;

  constructor(options: CommandRunnerOptions) {
    this.#options = options;
    this.#names = new RepositoryNames(options.mapping, options.link);
  }

  /**
   * Resolves to git's exit code. @throws {GitalyError} the status of the call, or the reason why it
   * was not made.
   */
  async run(run: CommandRun): Promise<number> {
    const { command, identity, remoteAddress, signal } = run;
    const { path, service } = command;
    const operation = service === 'git-receive-pack' ? 'write' : 'read';
    const isAllowed = (await this.#options.authorize?.({ identity, path, operation, remoteAddress })) ?? true;
    requireScope(identity, path, operation);
    if (!isAllowed) throw new GitalyError('PERMISSION_DENIED', `You may not ${operation} this repository.`);
    const repository = this.#names.at(path);
    if (repository === undefined) throw new GitalyError('NOT_FOUND', 'not mapped');

    await reach(this.#options.link, signal);
    const options: CallOptions = { signal, metadata: callMetadata({ identity, remoteAddress }) };
    // The call of a name that does not exist may have read what the client sends at once.
    const stdin = new RepeatableInput(run.io.stdin, (chunk) => run.access?.input(chunk));
    const whole = { ...run, io: { ...run.io, stdin } };
    const serve = (at: RepositoryInit): Promise<number> =>
      service === 'git-receive-pack' ? this.#push(whole, at, options) : this.#read(whole, at, options);
    try {
      return await serve(repository);
    } catch (error) {
      if (codeOf(error) !== 'NOT_FOUND') throw error;
      const other = await this.#names.otherAt(path, repository, options);
      if (other !== undefined) return await serve(other);
      const creator = service === 'git-receive-pack' && mayCreate(identity) && this.#options.creator;
      if (!creator) throw error;
      return await this.#create(whole, this.#names.newAt(path) ?? repository, creator, options);
    } finally {
      await stdin.stop();
    }
  }

  async #read(
    { command, gitProtocol, io }: CommandRun,
    repository: RepositoryInit,
    options: CallOptions,
  ): Promise<number> {
    const { connection, registry, sidechannels } = this.#options.link;
    const { exitCode } =
      command.service === 'git-upload-archive'
        ? await uploadArchive(connection, io, { repository }, options)
        : await uploadPackWithSidechannel(sidechannels, registry, io, { repository, gitProtocol }, options);
    return exitCode;
  }

  /** Serves a push to a missing repository, which it creates when the commands arrive. */
  async #create(
    run: CommandRun,
    repository: RepositoryInit,
    creator: RepositoryCreator,
    options: CallOptions,
  ): Promise<number> {
    const { io } = run;
    await writeChunk(io.stdout, creator.advertise(run.gitProtocol));
    const stdin = await creator.createFor(repository, io.stdin, options);
    if (stdin === undefined) return 0; // as git does without commands
    const created = { ...io, stdin, stdout: withoutAdvertisement(io.stdout) };
    return await this.#push({ ...run, io: created }, repository, options);
  }

  async #push(run: CommandRun, repository: RepositoryInit, options: CallOptions): Promise<number> {
    const { creator, onFailure } = this.#options;
    if (creator === undefined) return await this.#receivePack(run, repository, options);
    const watch = new AdvertisementWatch();
    const io = { ...run.io, stdout: watch.before(run.io.stdout) };
    const exitCode = await this.#receivePack({ ...run, io }, repository, options);
    if (watch.isEmpty) creator.noteEmpty(repository);
    // the push is done
    await creator.chooseDefaultBranch(repository, options).catch((error) => onFailure?.(error));
    return exitCode;
  }

  async #receivePack(
    { gitProtocol, identity, io }: CommandRun,
    repository: RepositoryInit,
    options: CallOptions,
  ): Promise<number> {
    const { glId, username: glUsername } = identity;
    const request = {
      repository,
      glId,
      glUsername,
      glRepository: repository.glRepository ?? '',
      gitProtocol,
      ...requiredRules(identity),
    };
    const pushing = receivePack(this.#options.link.connection, io, request, options);
    const { exitCode } = await pushing.catch(explainUnknownRules);
    return exitCode;
  }
}

/** A repository outside the scope of a token is reported as missing. */
function requireScope({ scope }: Identity, path: RepositoryPath, operation: 'read' | 'write'): void {
  if (scope === undefined) return;
  const access = accessTo(scope, path);
  if (access === undefined) throw new GitalyError('NOT_FOUND', 'not in the scope of the token');
  if (operation === 'write' && access === 'read')
    throw new GitalyError('PERMISSION_DENIED', 'You may not write this repository.');
}
