import { type Stats, statSync } from 'node:fs';
import { attempt } from '#base/attempt';

/** Limit of repositories that are known, about 0.1 KiB each. */
const MAX_KNOWN = 10_000;

/** The fate of a repository: nothing is at its path now, or another repository is. */
export type RepositoryChange = 'removed' | 'replaced';

/** Stats that distinguish two directories; inodes alone are reused. */
type Identity = Pick<Stats, 'ino' | 'birthtimeMs'>;

/** The numbers of a path, in this order. One array is a fifth of the memory of as many objects. */
const [INO, BIRTHTIME_MS] = [0, 1];
/** Last time when a call found the directory there. */
const SEEN_MS = 2;
/** Last time when the path is known to have had another directory, or none. */
const CHANGED_MS = 3;
const NUMBERS = 4;

/**
 * The directories that calls found at the paths of repositories, to explain the errors of calls
 * whose repository was removed, moved or replaced while they ran. Times are those of
 * `performance.now()`.
 */
export class SeenRepositories {
  /** Index of the numbers of each path in {@link #numbers}. The oldest path gives up its place. */
  readonly #places = new Map<string, number>();
  readonly #paths: string[] = [];
  readonly #numbers = new Float64Array(NUMBERS * MAX_KNOWN);
  #next = 0;
  /** The paths that a call has moved a repository to or away from. */
  readonly #ownMoves = new WeakMap<object, Set<string>>();
  readonly #mover: () => object | undefined;

  /** @param mover returns an object that identifies the running call. */
  constructor(mover: () => object | undefined = () => undefined) {
    this.#mover = mover;
  }

  /** Records that a call opens the repository at a path. */
  note(path: string, { ino, birthtimeMs }: Identity): void {
    const known = this.#places.get(path);
    const at = known ?? this.#add(path);
    const numbers = this.#numbers;
    const isKnown = known !== undefined;
    if (!isKnown || !this.#isAt(at, { ino, birthtimeMs })) {
      // It changed at some time since the last call found the other repository, perhaps before this
      // call.
      numbers[at + CHANGED_MS] = (isKnown ? numbers[at + SEEN_MS] : undefined) ?? Number.NEGATIVE_INFINITY;
      numbers[at + INO] = ino;
      numbers[at + BIRTHTIME_MS] = birthtimeMs;
    }
    numbers[at + SEEN_MS] = performance.now();
  }

  /** Records that the server has moved a repository to a path or away from it. */
  noteMove(path: string): void {
    const mover = this.#mover();
    if (mover !== undefined) {
      const paths = this.#ownMoves.get(mover) ?? new Set();
      this.#ownMoves.set(mover, paths.add(path));
    }
    const at = this.#places.get(path);
    if (at !== undefined) this.#numbers[at + CHANGED_MS] = performance.now();
  }

  /**
   * Returns what happened to a repository since a time at which a call used it; `undefined` if that
   * call has moved it itself.
   */
  changeSince(path: string, sinceMs: number, call?: object): RepositoryChange | undefined {
    if (call !== undefined && this.#ownMoves.get(call)?.has(path)) return undefined;
    const at = this.#places.get(path);
    if (at === undefined) return undefined;
    const [seenMs = 0, changedMs = 0] = this.#numbers.subarray(at + SEEN_MS, at + NUMBERS);
    if (Math.max(seenMs, changedMs) < sinceMs) return undefined;
    const stats = currentStats(path);
    if (stats === undefined) return 'removed';
    return changedMs >= sinceMs || !this.#isAt(at, stats) ? 'replaced' : undefined;
  }

  /** Returns the index of a new path's numbers. */
  #add(path: string): number {
    const index = this.#next;
    this.#next = (index + 1) % MAX_KNOWN;
    const oldest = this.#paths[index];
    if (oldest !== undefined) this.#places.delete(oldest);
    this.#paths[index] = path;
    this.#places.set(path, index * NUMBERS);
    return index * NUMBERS;
  }

  #isAt(at: number, { ino, birthtimeMs }: Identity): boolean {
    return this.#numbers[at + INO] === ino && this.#numbers[at + BIRTHTIME_MS] === birthtimeMs;
  }
}

function currentStats(path: string): Stats | undefined {
  // On failure: a file in place of a parent: the repository is gone as well.
  return attempt(() => statSync(path, { throwIfNoEntry: false }));
}
