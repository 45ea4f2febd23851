import { BoundedMap } from '#base/memory/bounded-map';
import type { CallOptions } from '#client/call/call-types';
import type { GitalyLink } from './gitaly-link.ts';
import type { RepositoryInit, RepositoryMapping } from './repository-mapping.ts';
import type { RepositoryPath } from './repository-path.ts';

/** Paths that are remembered, and for how long: a repository of the usual name may be created. */
const MAX_PATHS = 1000;
const MAX_AGE_MS = 60_000;

/**
 * Finds repositories by the paths of clients. A repository whose directory does not end in `.git`
 * is found if there is none with the suffix, because git's own server tries both names. Rights are
 * checked for the path, which is the same for both.
 */
export class RepositoryNames {
  readonly #mapping: RepositoryMapping;
  readonly #link: Pick<GitalyLink, 'connection'>;
  readonly #others = new BoundedMap<RepositoryPath, RepositoryInit>({
    maxEntries: MAX_PATHS,
    maxAgeMs: MAX_AGE_MS,
  });

  constructor(mapping: RepositoryMapping, link: Pick<GitalyLink, 'connection'>) {
    this.#mapping = mapping;
    this.#link = link;
  }

  /**
   * Returns the repository of a path, existing or not; `undefined` if no repository can have this
   * path.
   */
  at(path: RepositoryPath): RepositoryInit | undefined {
    return this.#others.get(path) ?? this.#mapping.repositoryAt(path);
  }

  /** Returns the repository that a push to a path creates if it is missing. */
  newAt(path: RepositoryPath): RepositoryInit | undefined {
    return this.#mapping.repositoryAt(path);
  }

  /**
   * Returns the existing repository of another name, for a path whose repository `missing` was not
   * found.
   */
  async otherAt(
    path: RepositoryPath,
    missing: RepositoryInit,
    options: CallOptions,
  ): Promise<RepositoryInit | undefined> {
    this.#others.delete(path); // it may have been removed or renamed
    const usual = this.#mapping.repositoryAt(path);
    const isUsual =
      missing.relativePath === usual?.relativePath && missing.storageName === usual?.storageName;
    const repository = isUsual ? this.#mapping.otherwiseAt?.(path) : usual;
    if (repository === undefined || !(await this.#exists(repository, options))) return undefined;
    if (isUsual) this.#others.set(path, repository);
    return repository;
  }

  /** Reports whether there is a repository of the other name, which a new one at a path would hide. */
  async wouldHide(path: RepositoryPath, options: CallOptions): Promise<boolean> {
    const repository = this.#mapping.otherwiseAt?.(path);
    return repository !== undefined && (await this.#exists(repository, options));
  }

  async #exists(repository: RepositoryInit, options: CallOptions): Promise<boolean> {
    return (await this.#link.connection.repository.repositoryExists({ repository }, options)).exists;
  }
}
