import { stat } from 'node:fs/promises';
import { systemErrorText } from '#base/go/system-error';
import type { Storage } from './repository-target.ts';

/** Interval in which each directory is read at most once, however many clients request health. */
const INTERVAL_MS = 500;

/**
 * Finds storages whose directory disappears while the server runs: removed, unmounted, or
 * unreadable. A server without a storage's directory returns NOT_FOUND for every repository, and
 * clients must not take that for the loss of a repository.
 */
export class StoragePresence {
  readonly #storages: readonly Storage[];
  #last: { readonly problems: Promise<readonly string[]>; endedAtMs: number } | undefined;

  constructor(storages: readonly Storage[]) {
    this.#storages = storages;
  }

  /** Returns a sentence for each storage that is gone. Never rejects. */
  problems(): Promise<readonly string[]> {
    if (this.#last !== undefined && performance.now() < this.#last.endedAtMs + INTERVAL_MS)
      return this.#last.problems;
    // The time is infinite while it runs, so that a file system that hangs is called only once.
    const current = { problems: this.#find(), endedAtMs: Number.POSITIVE_INFINITY };
    void current.problems.then(() => {
      current.endedAtMs = performance.now();
    });
    this.#last = current;
    return current.problems;
  }

  async #find(): Promise<readonly string[]> {
    const found = await Promise.all(this.#storages.map(problemOf));
    return found.filter((problem) => problem !== undefined);
  }
}

async function problemOf({ name, path }: Storage): Promise<string | undefined> {
  try {
    return (await stat(path)).isDirectory() ? undefined : `storage ${name}: ${path} is not a directory`;
  } catch (error) {
    return `storage ${name}: ${path}: ${systemErrorText(error)}`;
  }
}
