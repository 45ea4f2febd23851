import type { StorageBackups } from '#domain/backup/last-backups';

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
