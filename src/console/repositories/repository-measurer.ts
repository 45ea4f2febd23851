import { posix } from 'node:path';
import { BoundedMap } from '#base/memory/bounded-map';
import type { Connection } from '#client/connection';
import { repositoryFigures } from '#client/content/repository-figures';
import type { RepositoryFigures } from './repository-table.ts';

/** Directories of object pools, also below the path of a cluster. */
const POOLS = ['@pools/', '@cluster/pools/'] as const;
const TIMEOUT_MS = 20_000;
const KIBIBYTE = 1024;
const MAX_POOLS = 1000;
/** Members of a pool that are measured one after another use the same counts of it. */
const POOL_AGE_MS = 60_000;

type Counts = Pick<RepositoryFigures, 'looseObjects' | 'packfiles'>;
const NONE: Counts = { looseObjects: 0, packfiles: 0 };

/** Reads what repositories use, without the object pools from which they borrow. */
export class RepositoryMeasurer {
  readonly #connection: Connection;
  readonly #storageName: string;
  readonly #pools = new BoundedMap<string, Counts>({ maxEntries: MAX_POOLS, maxAgeMs: POOL_AGE_MS });

  constructor(connection: Connection, storageName: string) {
    this.#connection = connection;
    this.#storageName = storageName;
  }

  /** @throws the error of a call. */
  async measure(relativePath: string, signal: AbortSignal): Promise<RepositoryFigures> {
    const { alternates, counts, size } = await this.#info(relativePath, signal);
    const pool = poolOf(relativePath, alternates?.objectDirectories[0]);
    if (pool === undefined) return { bytes: Number(size), ...counts, pool };
    // The response about a member includes its pool.
    const repository = { storageName: this.#storageName, relativePath };
    const own = await this.#connection.repository.repositorySize(
      { repository },
      { signal, timeoutMs: TIMEOUT_MS },
    );
    const borrowed = await this.#countsOfPool(pool, signal);
    return {
      bytes: Number(own.size) * KIBIBYTE,
      looseObjects: Math.max(0, counts.looseObjects - borrowed.looseObjects),
      packfiles: Math.max(0, counts.packfiles - borrowed.packfiles),
      pool,
    };
  }

  async #info(relativePath: string, signal: AbortSignal) {
    const repository = { storageName: this.#storageName, relativePath };
    const info = await this.#connection.repository.repositoryInfo(
      { repository },
      { signal, timeoutMs: TIMEOUT_MS },
    );
    const { alternates, size } = info;
    const { loose: looseObjects, packfiles } = repositoryFigures(info).objects;
    const counts = { looseObjects, packfiles };
    return { alternates, counts, size };
  }

  /** A pool that cannot be read counts as empty; in a cluster its path is not known. */
  async #countsOfPool(path: string, signal: AbortSignal): Promise<Counts> {
    const known = this.#pools.get(path);
    if (known !== undefined) return known;
    const counts = await this.#info(path, signal).then(
      (info) => info.counts,
      () => NONE,
    );
    this.#pools.set(path, counts);
    return counts;
  }
}

/** Returns the path of the repository whose objects an entry of an alternates file names. */
function poolOf(relativePath: string, alternate: string | undefined): string | undefined {
  if (alternate === undefined) return undefined;
  for (const directory of POOLS) {
    const at = alternate.indexOf(directory);
    if (at !== -1) return posix.dirname(alternate.slice(at)); // in a cluster it starts at a replica's path
  }
  return posix.dirname(posix.join(relativePath, 'objects', alternate));
}
