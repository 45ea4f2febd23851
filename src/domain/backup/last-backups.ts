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
    return mergeBackups([...this.#storages.values()]);
  }

  #of(storage: string): StorageBackups {
    return this.#storages.get(storage) ?? { storage, done: 0, failed: 0 };
  }
}

/** Merges what several processes of a server have done, by storage. */
export function mergeBackups(all: readonly StorageBackups[]): readonly StorageBackups[] {
  const merged = new Map<string, StorageBackups>();
  for (const each of all) {
    const known = merged.get(each.storage);
    merged.set(each.storage, known === undefined ? each : sumOf(known, each));
  }
  return [...merged.values()].sort((one, other) => (one.storage < other.storage ? -1 : 1));
}

function sumOf(one: StorageBackups, other: StorageBackups): StorageBackups {
  const [success] = [one.last_success, other.last_success]
    .filter((time) => time !== undefined)
    .sort()
    .reverse();
  const [failure] = [one.last_failure, other.last_failure]
    .filter((each) => each !== undefined)
    .sort((a, b) => (a.time < b.time ? 1 : -1));
  return {
    storage: one.storage,
    done: one.done + other.done,
    failed: one.failed + other.failed,
    ...(success !== undefined && { last_success: success }),
    ...(failure !== undefined && { last_failure: failure }),
  };
}
