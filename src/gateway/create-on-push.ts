import type { Readable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf, invalidArgument } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import { ObjectFormat } from '#wire/gen/shared_pb';
import { emptyAdvertisement, type ObjectFormatName } from './empty-advertisement.ts';
import { readBeginning } from './first-command.ts';
import { type NewRepositories, RememberedRepositories } from './new-repositories.ts';
import type { RepositoryInit } from './repository-mapping.ts';

/** Options for creating repositories on push. */
export interface CreateOnPushOptions {
  /** Object format of a new repository if the client requests none. Default sha1, as in git. */
  readonly objectFormat?: ObjectFormatName;
}

/**
 * Time limit for creating a repository. It takes milliseconds, but longer on a busy disk or in a
 * cluster.
 */
const CREATE_TIMEOUT_MS = 30_000;
const APPEARANCE_LOOKS = 10;
const APPEARANCE_LOOK_EVERY_MS = 50;

/**
 * Creates repositories when the first push to them arrives, and sets the default branch of empty
 * ones to one that was pushed. A client that only requests the references creates nothing: it
 * receives the advertisement of an empty repository.
 */
export class RepositoryCreator {
  readonly #connection: Connection;
  readonly #options: CreateOnPushOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #newOnes: NewRepositories;

  /** @param newOnes those of all processes of a server; default: only this one's. */
  constructor(
    connection: Connection,
    options: CreateOnPushOptions,
    newOnes: NewRepositories = new RememberedRepositories(),
  ) {
    this.#connection = connection;
    this.#options = options;
    this.#newOnes = newOnes;
  }

  /**
   * Returns the advertisement of a missing repository.
   *
   * @param wantedFormat format requested by the client, if any: `sha1` or `sha256`.
   */
  advertise(gitProtocol: string, wantedFormat?: string): Buffer {
    const format = wantedFormat ?? this.#options.objectFormat;
    return emptyAdvertisement(format === 'sha256' ? 'sha256' : 'sha1', gitProtocol);
  }

  async exists(repository: RepositoryInit, options: CallOptions): Promise<boolean> {
    return (await this.#connection.repository.repositoryExists({ repository }, options)).exists;
  }

  /**
   * Creates the missing repository of a push when its first command arrives, in the object format
   * of the push. It also succeeds if another push creates it at the same time, here or through
   * another gateway.
   *
   * @returns the whole push; `undefined` if the client sends none.
   * @throws {GitalyError} INVALID_ARGUMENT when the client sends something else.
   */
  async createFor(
    repository: RepositoryInit,
    push: Readable | AsyncIterable<Uint8Array>,
    options: CallOptions,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const beginning = await readBeginning(push);
    if (beginning.kind === 'invalid') throw invalidArgument('this is not a push');
    if (beginning.kind === 'nothing') return undefined;
    await this.create(repository, options, beginning.objectFormat);
    return beginning.bytes;
  }

  /** Creates a missing repository. It also succeeds if somebody creates it at the same time. */
  async create(
    repository: RepositoryInit,
    options: CallOptions,
    pushedFormat?: ObjectFormatName,
  ): Promise<void> {
    const key = repositoryKey(repository);
    const running =
      this.#running.get(key) ??
      this.#create(repository, options, pushedFormat).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    await running;
    this.#newOnes.add(key);
  }

  async #create(
    repository: RepositoryInit,
    options: CallOptions,
    pushedFormat: ObjectFormatName | undefined,
  ): Promise<void> {
    const format = pushedFormat ?? this.#options.objectFormat;
    const objectFormat = format === 'sha256' ? ObjectFormat.SHA256 : ObjectFormat.SHA1;
    // Others may wait for the same repository, so the disconnect of the first one must not abort
    // its creation.
    const callOptions: CallOptions = {
      timeoutMs: CREATE_TIMEOUT_MS,
      ...(options.metadata && { metadata: options.metadata }),
    };
    using turn = await this.#newOnes.turn(repositoryKey(repository));
    if (turn.hasWaited && (await this.exists(repository, callOptions))) return;
    try {
      await this.#connection.repository.createRepository({ repository, objectFormat }, callOptions);
    } catch (error) {
      if (codeOf(error) !== 'ALREADY_EXISTS' && !(await this.#appears(repository, callOptions))) throw error;
    }
  }

  /**
   * Waits until the repository exists. Gitaly refuses a creation while another one holds the lock,
   * with an ambiguous code, so this checks for the result.
   */
  async #appears(repository: RepositoryInit, options: CallOptions): Promise<boolean> {
    for (let look = 0; look < APPEARANCE_LOOKS; look++) {
      if (await this.exists(repository, options)) return true;
      await delay(APPEARANCE_LOOK_EVERY_MS);
    }
    return false;
  }

  /** A push to this repository may be its first one. */
  noteEmpty(repository: RepositoryInit): void {
    this.#newOnes.add(repositoryKey(repository));
  }

  /**
   * Sets the default branch after the first push to a repository. HEAD may name a branch that has
   * not been pushed; then it gets `main`, `master` or the first one, so that a clone checks out
   * files. git's protocol does not tell the HEAD of the client.
   */
  async chooseDefaultBranch(repository: RepositoryInit, options: CallOptions): Promise<void> {
    const key = repositoryKey(repository);
    if (!(await this.#newOnes.take(key))) return;
    // Another first push may be setting it, and a lock of HEAD is not waited for.
    using _turn = await this.#newOnes.turn(key);
    let isChosen = false;
    try {
      const { name } = await this.#connection.ref.findDefaultBranchName({ repository }, options);
      if (name.byteLength === 0) return; // only tags so far, or the push was refused
      const ref = Buffer.from('HEAD');
      await this.#connection.repository.writeRef({ repository, ref, revision: name }, options);
      isChosen = true;
    } finally {
      if (!isChosen) this.#newOnes.add(key);
    }
  }
}

function repositoryKey({ storageName = '', relativePath = '' }: RepositoryInit): string {
  return `${storageName}\0${relativePath}`;
}
