import { wrapped } from '#base/gitaly-error';
import { dialSidechannel } from '#client/dial-sidechannel';
import { Pool } from '#client/pool';
import { SidechannelRegistry } from '#client/sidechannel-registry';
import type { RepositoryTarget } from '#storage/repository-target';
import { findGitalyServer } from './gitaly-servers.ts';
import { RemoteRepository } from './remote-repository.ts';

/** Facts about the original call that a call to another server carries. */
export interface RemoteOptions {
  /** Metadata `gitaly-servers` of the call. */
  readonly servers: string | undefined;
  readonly correlationId: string;
  /** The call's feature flags, by name; none if absent. */
  readonly featureFlags?: Readonly<Record<string, boolean>>;
  readonly signal: AbortSignal;
}

/**
 * Repositories on another server, or on this one, which is called like any other. Connections are
 * kept until this is disposed.
 */
export class RemoteRepositories implements AsyncDisposable {
  readonly #registry = new SidechannelRegistry();
  readonly #pool = new Pool({
    dialer: (address, options) => dialSidechannel(address, this.#registry, options),
  });

  /**
   * Opens a repository. The first question to the other server shows whether the repository exists.
   *
   * @throws {GitalyError} without a code:
   * `remote repository: empty gitaly-servers metadata`,
   * `remote repository: storage name not found`, `remote repository: could not dial source: …`.
   */
  async open(target: RepositoryTarget, options: RemoteOptions): Promise<RemoteRepository> {
    return await this.connect(target, options).catch(wrapped('remote repository', 'UNKNOWN'));
  }

  /**
   * Opens a repository, as {@link open}.
   *
   * @throws {UnknownServerError}; {GitalyError} without a code: `empty gitaly-servers metadata`,
   *   `could not dial source: …`.
   */
  async connect(target: RepositoryTarget, options: RemoteOptions): Promise<RemoteRepository> {
    const { address, token } = findGitalyServer(options.servers, target.storageName);
    const connection = await this.#pool.dial(address, token);
    return new RemoteRepository({ connection, registry: this.#registry, target, ...options });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool.close();
  }
}
