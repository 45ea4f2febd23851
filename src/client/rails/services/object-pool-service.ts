import { RepositoryCalls, type RepositoryInit } from './storage-calls.ts';

/**
 * An object pool, which repositories borrow objects from; `repository` is that of the pool. @see
 * GitLab: Gitlab::GitalyClient::ObjectPoolService
 */
export class ObjectPoolService extends RepositoryCalls {
  /** Creates the pool from a repository on the same storage. */
  async create(origin: RepositoryInit): Promise<void> {
    const request = { objectPool: this.#pool, origin };
    await this.call('medium', (gitaly) => gitaly.objectPool.createObjectPool(request));
  }

  /** Deletes the pool. Repositories that still borrow from it lose objects. */
  async delete(): Promise<void> {
    await this.call('long', (gitaly) => gitaly.objectPool.deleteObjectPool({ objectPool: this.#pool }));
  }

  /** Lets a repository borrow from the pool. */
  async linkRepository(repository: RepositoryInit): Promise<void> {
    const request = { objectPool: this.#pool, repository };
    await this.call('fast', (gitaly) => gitaly.objectPool.linkRepositoryToObjectPool(request));
  }

  /** Copies into a repository what it borrows, and ends its link to a pool. */
  async disconnect(repository: RepositoryInit): Promise<void> {
    await this.call('long', (gitaly) => gitaly.objectPool.disconnectGitAlternates({ repository }));
  }

  /** Fetches the pool's origin into it. */
  async fetch(origin: RepositoryInit): Promise<void> {
    const request = { objectPool: this.#pool, origin };
    await this.call('long', (gitaly) => gitaly.objectPool.fetchIntoObjectPool(request));
  }

  get #pool() {
    return { repository: this.repository };
  }
}
