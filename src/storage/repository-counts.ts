import type { RepositoryLocation, Storage } from './repository-target.ts';
import { walkRepositories } from './walk-repositories.ts';

/** Directory of the paths that Praefect chooses; the kind is below it. */
const CLUSTER_DIRECTORY = '@cluster';
/**
 * Limit of the kinds of a storage that are counted separately: clients choose the paths, and GitLab
 * has a few kinds.
 */
const MAX_PREFIXES = 100;
/** Kind under which the repositories of all further kinds are counted. */
const OTHERS = 'overflow';

export interface RepositoryCount {
  /** Directory of the storage. */
  readonly path: string;
  /** First directory of the repositories' paths, such as `@hashed`; in a cluster the second one. */
  readonly prefix: string;
  readonly count: number;
}

/** Numbers of repositories, as any process of a server sees them. */
export type KnownCounts = Pick<RepositoryCounts, 'add' | 'clear' | 'count'> & {
  entries(): Iterable<RepositoryCount>;
};

/**
 * Numbers of repositories by storage and kind: counted once, then kept up to date. What is created
 * or removed while {@link count} walks over its directory may count twice or not at all.
 */
export class RepositoryCounts {
  readonly #byStorage = new Map<string, Map<string, number>>();
  readonly #counted = new Set<string>();

  /** Counts the repositories that are on disk. */
  async count(storage: Storage, options: { readonly signal?: AbortSignal } = {}): Promise<void> {
    for await (const { path, relativePath } of walkRepositories(storage, {
      ...options,
      skipUnreadable: true,
    }))
      this.add({ storage, path, relativePath }, 1);
    this.#counted.add(storage.path);
  }

  /** Counts a repository that was created or removed. */
  add({ storage: { path }, relativePath }: RepositoryLocation, change: 1 | -1): void {
    const prefix = prefixOf(relativePath);
    if (prefix === undefined) return;
    const counts = this.#byStorage.get(path) ?? new Map<string, number>();
    // Kinds are never removed, so a repository is subtracted where it was added.
    const counted = counts.has(prefix) || counts.size < MAX_PREFIXES ? prefix : OTHERS;
    this.#byStorage.set(path, counts.set(counted, (counts.get(counted) ?? 0) + change));
  }

  /** Sets the numbers of a storage to 0. */
  clear({ path }: Storage): void {
    const counts = this.#byStorage.get(path);
    for (const prefix of counts?.keys() ?? []) counts?.set(prefix, 0);
  }

  /** Yields the numbers of the storages that were counted. */
  *entries(): Generator<RepositoryCount> {
    for (const path of this.#counted)
      for (const [prefix, count] of this.#byStorage.get(path) ?? []) yield { path, prefix, count };
  }
}

/** Returns the kind of a repository; `undefined` if it lies directly in the storage. */
function prefixOf(relativePath: string): string | undefined {
  const parts = relativePath.split('/');
  const index = parts[0] === CLUSTER_DIRECTORY ? 1 : 0;
  return parts.length > index + 1 ? parts[index] : undefined;
}
