import { BoundedMap } from '#base/memory/bounded-map';

/** Limit of the paths of all commits, some 200 bytes each. */
const MAX_PATHS = 10_000;
const MAX_COMMITS = 5_000;
/** Longer paths are not remembered. */
const MAX_PATH_BYTES = 300;

/**
 * The newest commits that changed paths, as found before: by repository, the commit where the
 * search began, and path. They never change while parents are not grafted.
 */
export class LastChanges {
  readonly #commits = new BoundedMap<string, Map<string, string>>({
    maxEntries: MAX_COMMITS,
    maxWeight: MAX_PATHS,
    weigh: (paths) => paths.size,
  });

  /**
   * Returns the known changes of paths (latin1 text) that a search from a commit finds.
   *
   * @param repository a number that no other repository gets.
   */
  at(repository: number, commit: string): ReadonlyMap<string, string> | undefined {
    return this.#commits.get(`${repository} ${commit}`);
  }

  add(repository: number, commit: string, changes: Iterable<readonly [path: string, oid: string]>): void {
    const key = `${repository} ${commit}`;
    const paths = this.#commits.peek(key) ?? new Map<string, string>();
    for (const [path, oid] of changes) if (path.length <= MAX_PATH_BYTES) paths.set(path, oid);
    this.#commits.set(key, paths); // updates the weight
  }
}
