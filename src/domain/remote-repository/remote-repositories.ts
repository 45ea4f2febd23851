import { wrap } from '#base/gitaly-error';
import { dialSidechannel } from '#client/dial-sidechannel';
import { Pool } from '#client/pool';
import { SidechannelRegistry } from '#client/sidechannel-registry';
import type { RepositoryTarget } from '#storage/repository-target';
import { findGitalyServer } from './gitaly-servers.ts';
import { RemoteRepository } from './remote-repository.ts';

/** What the calls of a server have to say about the call that they are made for. */
export interface RemoteOptions {
  /** Metadata `gitaly-servers` of the call. */
  readonly servers: string | undefined;
  readonly correlationId: string;
  readonly signal: AbortSignal;
}

/** Repositories that lie on another server, or on this one: it is asked as any other. Connections are kept until this is disposed. */
export class RemoteRepositories implements AsyncDisposable {
  readonly #registry = new SidechannelRegistry();
  readonly #pool = new Pool({ dialer: (address, options) => dialSidechannel(address, this.#registry, options) });

  /**
   * Opens a repository; whether it exists shows at the first question.
   *
   * @throws {GitalyError} without a code of its own: `remote repository: empty gitaly-servers metadata`, `remote repository: storage name
   *   not found`, `remote repository: could not dial source: …`.
   */
  async open(target: RepositoryTarget, options: RemoteOptions): Promise<RemoteRepository> {
    try {
      const { address, token } = findGitalyServer(options.servers, target.storageName);
      const connection = await this.#pool.dial(address, token);
      return new RemoteRepository({ connection, registry: this.#registry, target, ...options });
    } catch (error) {
      throw wrap(error, 'remote repository', 'UNKNOWN');
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#pool.close();
  }
}
