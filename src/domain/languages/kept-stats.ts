import { BoundedMap } from '#base/memory/bounded-map';
import type { Repository } from '#storage/repository';
import { LanguageStats } from './language-stats.ts';

/** Limit of files of all repositories together; each takes some 300 bytes. */
const MAX_FILES = 50_000;
const MAX_REPOSITORIES = 1_000;
/** Weight of a repository, in files. */
const ENTRY_FILES = 5;
const MAX_AGE_MS = 10 * 60_000;

interface Kept {
  /** State of the file that holds the same counts. */
  readonly stamp: string;
  readonly stats: LanguageStats;
}

/**
 * The last counts of repositories, in memory: reading and parsing their files takes longer than
 * counting what a commit changed.
 */
export class KeptLanguageStats {
  readonly #kept = new BoundedMap<string, Kept>({
    maxEntries: MAX_REPOSITORIES,
    maxWeight: MAX_FILES,
    maxAgeMs: MAX_AGE_MS,
    weigh: ({ stats }) => stats.weight + ENTRY_FILES,
  });

  /** Returns the last counts; empty ones when there are none. They must not be changed. */
  async load(repository: Repository): Promise<LanguageStats> {
    const stamp = LanguageStats.stampOf(repository);
    const kept = this.#kept.get(repository.path);
    if (stamp !== undefined && kept?.stamp === stamp) return kept.stats;
    const stats = await LanguageStats.load(repository);
    if (stamp !== undefined && stats.commitId !== '') this.#kept.set(repository.path, { stamp, stats });
    return stats;
  }

  /** Writes counts and caches them. They must not be changed afterwards. */
  async save(repository: Repository, stats: LanguageStats): Promise<void> {
    const stamp = await stats.save(repository);
    this.#kept.set(repository.path, { stamp, stats });
  }
}
