import { messageOf } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { list, object, parseAs, text } from '#base/shape';
import type { Logger } from '#platform/log/logger';
import type { ListenerHandler } from '../database/listener.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import type { ConsistentReplicas, RepositoryLookups } from './repository-lookups.ts';

/** Limit of repositories of each virtual storage, as in Gitaly. */
const MAX_ENTRIES = 2 ** 21;

/** Label `type` of `gitaly_praefect_uptodate_storages_cache_access_total`. */
export type CacheAccess = 'hit' | 'miss' | 'populate' | 'evict';

type Found = ConsistentReplicas | undefined;

type Entries = BoundedMap<string, ConsistentReplicas>;

export interface ReplicaCacheOptions {
  readonly lookups: Pick<RepositoryLookups, 'consistentReplicas'>;
  /** Virtual storages whose repositories are cached. */
  readonly virtualStorages: readonly string[];
  /** Default 2097152, as in Gitaly. */
  readonly maxEntries?: number;
  readonly logger: Logger;
  readonly count: (virtualStorage: string, access: CacheAccess, number?: number) => void;
}

const CHANGES = list(object({ virtual_storage: text, relative_paths: list(text) }));

/**
 * Caches which replicas are up to date, for reads. The database notifies of changes. While it
 * cannot, nothing is cached.
 */
export class ReplicaCache implements ListenerHandler {
  readonly channels = ['storage_repositories_updates', 'repositories_updates'];
  readonly #options: ReplicaCacheOptions;
  readonly #entries = new Map<string, Entries>();
  /**
   * Lookups that run, by key. The result of a lookup that a notification has removed is not kept.
   */
  readonly #running = new Map<string, Promise<Found>>();
  #isConnected = false;

  constructor(options: ReplicaCacheOptions) {
    this.#options = options;
    const { maxEntries = MAX_ENTRIES } = options;
    for (const name of options.virtualStorages) this.#entries.set(name, new BoundedMap({ maxEntries }));
  }

  /** Returns the replicas that are up to date; `undefined` for an unknown repository. */
  async get(repository: RepositoryKey): Promise<Found> {
    const { count, lookups } = this.#options;
    const { relativePath, virtualStorage } = repository;
    const entries = this.#isConnected ? this.#entries.get(virtualStorage) : undefined;
    if (entries === undefined) {
      count(virtualStorage, 'miss');
      return await lookups.consistentReplicas(repository);
    }
    const cached = entries.get(relativePath);
    if (cached !== undefined) {
      count(virtualStorage, 'hit');
      return cached;
    }
    const running = this.#running.get(repositoryKey(virtualStorage, relativePath));
    if (running === undefined) return await this.#lookUp(repository, entries);
    // The lookup of another call counts like a cached result.
    let found: Found;
    try {
      found = await running;
      return found;
    } finally {
      count(virtualStorage, found === undefined ? 'miss' : 'hit');
    }
  }

  async #lookUp(repository: RepositoryKey, entries: Entries): Promise<Found> {
    const { count, lookups } = this.#options;
    const { relativePath, virtualStorage } = repository;
    count(virtualStorage, 'miss');
    const key = repositoryKey(virtualStorage, relativePath);
    const running = lookups.consistentReplicas(repository);
    this.#running.set(key, running);
    try {
      const found = await running;
      if (found !== undefined && this.#running.get(key) === running) {
        const before = entries.size;
        entries.set(relativePath, found);
        count(virtualStorage, 'populate');
        if (entries.size === before) count(virtualStorage, 'evict'); // it was full
      }
      return found;
    } finally {
      if (this.#running.get(key) === running) this.#running.delete(key);
    }
  }

  /** Forgets a repository that has changed. */
  invalidate({ relativePath, virtualStorage }: RepositoryKey): void {
    this.#running.delete(repositoryKey(virtualStorage, relativePath));
    const entries = this.#entries.get(virtualStorage);
    if (entries?.has(relativePath) !== true) return;
    entries.delete(relativePath);
    this.#options.count(virtualStorage, 'evict');
  }

  connected(): void {
    this.#isConnected = true;
  }

  disconnected(): void {
    this.#isConnected = false;
    this.#purge();
  }

  notified(channel: string, payload: string): void {
    const { logger } = this.#options;
    try {
      const changes = parseAs(CHANGES, payload);
      if (changes === undefined) throw new Error('it is no list of changes');
      for (const { virtual_storage: virtualStorage, relative_paths: paths } of changes) {
        if (!this.#entries.has(virtualStorage)) {
          const fields = { error: 'virtual storage does not exist', virtual_storage: virtualStorage };
          logger.error(fields, 'cache not found');
        }
        for (const relativePath of paths) this.invalidate({ virtualStorage, relativePath });
      }
    } catch (error) {
      logger.error(
        { error: messageOf(error), channel },
        "received payload can't be processed, cache disabled",
      );
      this.disconnected();
    }
  }

  #purge(): void {
    this.#running.clear();
    for (const [name, entries] of this.#entries) {
      if (entries.size > 0) this.#options.count(name, 'evict', entries.size);
      entries.clear();
    }
  }
}

function repositoryKey(virtualStorage: string, relativePath: string): string {
  return `${virtualStorage}\0${relativePath}`;
}
