import { type Stats, statSync } from 'node:fs';
import { BoundedMap } from '#base/bounded-map';

/** Limit of repositories that are known, about 0.3 KiB each. */
const MAX_KNOWN = 10_000;

/** The fate of a repository: nothing is at its path now, or the path has another one. */
export type RepositoryChange = 'removed' | 'replaced';

/** Stats that distinguish two directories; inodes alone are reused. */
type Identity = Pick<Stats, 'ino' | 'birthtimeMs'>;

interface Seen extends Identity {
  seenMs: number;
  /** Last time when the path is known to have had another directory, or none. */
  changedMs: number;
}

/**
 * The directories that calls found at the paths of repositories, to explain the errors of calls
 * whose repository was removed, moved or replaced while they ran. Times are those of
 * `performance.now()`.
 */
export class SeenRepositories {
  readonly #seen = new BoundedMap<string, Seen>({ maxEntries: MAX_KNOWN, order: 'insertion' });
  /** The paths that a call has moved a repository to or away from. */
  readonly #ownMoves = new WeakMap<object, Set<string>>();
  readonly #mover: () => object | undefined;

  /** @param mover returns an object that identifies the running call. */
  constructor(mover: () => object | undefined = () => undefined) {
    this.#mover = mover;
  }

  /** Notes that a call opens the repository at a path. */
  note(path: string, { ino, birthtimeMs }: Identity): void {
    const seen = this.#seen.get(path);
    const seenMs = performance.now();
    if (seen !== undefined && isSame(seen, { ino, birthtimeMs })) seen.seenMs = seenMs;
    else {
      // It changed at some time since the last call found the other one, perhaps before this call.
      const changedMs = seen === undefined ? Number.NEGATIVE_INFINITY : seen.seenMs;
      this.#seen.set(path, { ino, birthtimeMs, seenMs, changedMs });
    }
  }

  /** Notes that the server has moved a repository to a path or away from it. */
  noteMove(path: string): void {
    const mover = this.#mover();
    if (mover !== undefined) {
      const paths = this.#ownMoves.get(mover) ?? new Set();
      this.#ownMoves.set(mover, paths.add(path));
    }
    const seen = this.#seen.get(path);
    if (seen !== undefined) seen.changedMs = performance.now();
  }

  /**
   * Returns what became of a repository since a time at which a call used it; `undefined` if that
   * call has moved it itself.
   */
  changeSince(path: string, sinceMs: number, call?: object): RepositoryChange | undefined {
    if (call !== undefined && this.#ownMoves.get(call)?.has(path)) return undefined;
    const seen = this.#seen.get(path);
    if (seen === undefined || Math.max(seen.seenMs, seen.changedMs) < sinceMs) return undefined;
    const stats = currentStats(path);
    if (stats === undefined) return 'removed';
    return seen.changedMs >= sinceMs || !isSame(seen, stats) ? 'replaced' : undefined;
  }
}

function isSame(one: Identity, other: Identity): boolean {
  return one.ino === other.ino && one.birthtimeMs === other.birthtimeMs;
}

function currentStats(path: string): Stats | undefined {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch {
    return undefined; // A file in place of a parent: the repository is gone as well.
  }
}
