import { BoundedMap } from '#base/memory/bounded-map';

/** Gitaly's, for its own strategy. @see Gitaly: internal/cli/gitaly/serve.go */
const CLONES = 5;
const INTERVAL_MS = 60_000;
/** Number of repositories whose clones are counted; those with the oldest clones are forgotten. */
const MAX_REPOSITORIES = 10_000;

export class CloneCounts {
  readonly #recent: BoundedMap<string, readonly number[]>;
  readonly #now: () => number;

  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
    this.#recent = new BoundedMap({ maxEntries: MAX_REPOSITORIES });
  }

  /** Counts a clone. @returns whether a bundle is worth it: five clones within a minute. */
  count(key: string): boolean {
    const now = this.#now();
    const times = (this.#recent.get(key) ?? []).filter((time) => now - time < INTERVAL_MS);
    const isOften = times.length + 1 >= CLONES;
    this.#recent.set(key, isOften ? [] : [...times, now]);
    return isOften;
  }
}
