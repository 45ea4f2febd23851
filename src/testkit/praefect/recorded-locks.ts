import type { WriteLocks } from '#praefect/transactions/write-locks';

/** Locks for tests that are always free, and record what is done with them. */
export function recordedLocks(events: string[]): WriteLocks {
  return {
    async lock({ relativePath }, id) {
      events.push(`lock ${relativePath} ${id}`);
      return {
        renew: async () => void events.push(`renew ${id}`),
        release: async () => void events.push(`release ${id}`),
      };
    },
  };
}
