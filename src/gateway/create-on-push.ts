import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { RepositoryInit } from './repository-mapping.ts';

/** What `createOnPush` makes. */
export interface CreateOnPushOptions {
  /** Object format of a new repository unless the client names one. Default sha1, as git's. */
  readonly objectFormat?: 'sha1' | 'sha256';
}

/** Creating takes milliseconds; a busy disk or a cluster may need longer. */
const CREATE_TIMEOUT_MS = 30_000;
const APPEARANCE_LOOKS = 10;
const APPEARANCE_LOOK_EVERY_MS = 50;

/** New repositories remembered until their default branch is known to exist. */
const MAX_REMEMBERED = 1000;

/** Makes repositories at the first push to them and gives them the default branch that was pushed. */
export class RepositoryCreator {
  readonly #connection: Connection;
  readonly #options: CreateOnPushOptions;
  readonly #running = new Map<string, Promise<void>>();
  readonly #withoutBranch = new Set<string>();

  constructor(connection: Connection, options: CreateOnPushOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /**
   * Creates the repository. Another push may be at it or have been faster, here or through another door, which is as good.
   *
   * @param wantedFormat what the client asked for, where it could: `sha1` or `sha256`.
   */
  async create(repository: RepositoryInit, options: CallOptions, wantedFormat?: string): Promise<void> {
    const key = keyOf(repository);
    const running =
      this.#running.get(key) ?? this.#create(repository, options, wantedFormat).finally(() => this.#running.delete(key));
    this.#running.set(key, running);
    await running;
    if (this.#withoutBranch.size < MAX_REMEMBERED) this.#withoutBranch.add(key);
  }

  async #create(repository: RepositoryInit, options: CallOptions, wantedFormat: string | undefined): Promise<void> {
    const format = wantedFormat ?? this.#options.objectFormat;
    const objectFormat = format === 'sha256' ? ObjectFormat.SHA256 : ObjectFormat.SHA1;
    // Others may wait for the same repository, so the first one's departure must not end its making.
    const callOptions: CallOptions = { timeoutMs: CREATE_TIMEOUT_MS, ...(options.metadata && { metadata: options.metadata }) };
    try {
      await this.#connection.repository.createRepository({ repository, objectFormat }, callOptions);
    } catch (error) {
      if (codeOf(error) !== 'ALREADY_EXISTS' && !(await this.#appears(repository, callOptions))) throw error;
    }
  }

  /** Gitaly refuses a creation while another one holds the lock, with no code that would tell; so look for its result. */
  async #appears(repository: RepositoryInit, options: CallOptions): Promise<boolean> {
    for (let look = 0; look < APPEARANCE_LOOKS; look++) {
      const { exists } = await this.#connection.repository.repositoryExists({ repository }, options);
      if (exists) return true;
      await delay(APPEARANCE_LOOK_EVERY_MS);
    }
    return false;
  }

  /**
   * After a push to a new repository: HEAD names `main`, which need not be what was pushed. Points it at a branch that exists, so that
   * a clone has something to check out.
   */
  async chooseDefaultBranch(repository: RepositoryInit, options: CallOptions): Promise<void> {
    if (!this.#withoutBranch.has(keyOf(repository))) return;
    const { name } = await this.#connection.ref.findDefaultBranchName({ repository }, options);
    if (name.byteLength === 0) return; // nothing but tags so far, or the push was refused
    await this.#connection.repository.writeRef({ repository, ref: Buffer.from('HEAD'), revision: name }, options);
    this.#withoutBranch.delete(keyOf(repository));
  }
}

function keyOf({ storageName = '', relativePath = '' }: RepositoryInit): string {
  return `${storageName}\0${relativePath}`;
}
