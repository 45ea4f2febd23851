/** The replicas of a repository that are up to date, and those that are not. */
interface Entry {
  generation: number;
  /** Generation by storage. */
  readonly replicas: Map<string, number>;
}

/**
 * Remembers which replicas of which repository are up to date, for as long as the process runs.
 * Repositories without an entry were there before: all their replicas count as up to date.
 */
export class MemoryStore {
  readonly #entries = new Map<string, Entry>();

  /** Storages whose replica is up to date; `undefined` without an entry. */
  consistentStorages(virtualStorage: string, relativePath: string): ReadonlySet<string> | undefined {
    const entry = this.#entries.get(keyOf(virtualStorage, relativePath));
    if (entry === undefined) return undefined;
    const current = [...entry.replicas].filter(([, generation]) => generation === entry.generation);
    return new Set(current.map(([storage]) => storage));
  }

  /**
   * Records a write: these storages have it, all others do not.
   *
   * @param storages all of the virtual storage, for the first entry of a repository.
   */
  recordWrite(
    virtualStorage: string,
    relativePath: string,
    { updated, storages }: { updated: readonly string[]; storages: readonly string[] },
  ): void {
    const key = keyOf(virtualStorage, relativePath);
    const entry = this.#entries.get(key) ?? {
      generation: 0,
      replicas: new Map(storages.map((storage) => [storage, 0])),
    };
    const current = updated.filter((storage) => (entry.replicas.get(storage) ?? -1) === entry.generation);
    entry.generation++;
    for (const storage of current) entry.replicas.set(storage, entry.generation);
    this.#entries.set(key, entry);
  }

  /** Records a new repository. */
  recordCreation(virtualStorage: string, relativePath: string, storages: readonly string[]): void {
    const replicas = new Map(storages.map((storage) => [storage, 0]));
    this.#entries.set(keyOf(virtualStorage, relativePath), { generation: 0, replicas });
  }

  recordRemoval(virtualStorage: string, relativePath: string): void {
    this.#entries.delete(keyOf(virtualStorage, relativePath));
  }

  /** The generation of a replica; -1 when it is unknown. */
  generation(virtualStorage: string, relativePath: string, storage: string): number {
    return this.#entries.get(keyOf(virtualStorage, relativePath))?.replicas.get(storage) ?? -1;
  }

  /** Records that a replica was brought to a generation. */
  recordReplication(
    virtualStorage: string,
    relativePath: string,
    { storage, generation }: { storage: string; generation: number },
  ): void {
    this.#entries.get(keyOf(virtualStorage, relativePath))?.replicas.set(storage, generation);
  }
}

function keyOf(virtualStorage: string, relativePath: string): string {
  return `${virtualStorage}\0${relativePath}`;
}
