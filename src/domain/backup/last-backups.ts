/** The backups of a storage that a server has made itself since its start. Times are RFC 3339. */
export interface StorageBackups {
  readonly storage: string;
  /** Successful backups of repositories. */
  readonly done: number;
  readonly failed: number;
  readonly last_success?: string;
  readonly last_failure?: { readonly time: string; readonly repository: string; readonly problem: string };
}

/** Remembers the last backups of each storage. */
export class LastBackups {
  readonly #storages = new Map<string, StorageBackups>();

  succeeded(storage: string): void {
    const { done, ...others } = this.#of(storage);
    this.#storages.set(storage, { ...others, done: done + 1, last_success: new Date().toISOString() });
  }

  failed(storage: string, repository: string, problem: string): void {
    const { failed, ...others } = this.#of(storage);
    const last_failure = { time: new Date().toISOString(), repository, problem };
    this.#storages.set(storage, { ...others, failed: failed + 1, last_failure });
  }

  /** Returns those of storages with backups, by name. */
  list(): readonly StorageBackups[] {
    return [...this.#storages.values()].sort((one, other) => (one.storage < other.storage ? -1 : 1));
  }

  #of(storage: string): StorageBackups {
    return this.#storages.get(storage) ?? { storage, done: 0, failed: 0 };
  }
}
