import { waitAtMost } from '#base/async/wait-at-most';
import { BoundedMap } from '#base/memory/bounded-map';
import type { Connection } from '#client/connection';
import type { Repository } from '#client/repository/repository';
import { commitOf } from '#client/repository/values';

/** A directory of a commit. */
export interface ShownDirectory {
  readonly repository: Repository['message'];
  readonly commit: string;
  /** Without a trailing slash; empty for the root. */
  readonly path: Buffer;
}

/** The commit that last changed an entry. */
export interface LastCommit {
  readonly id: string;
  readonly subject: string;
  /** That of the committer. */
  readonly date: Date;
}

/** The last commit of each entry, by its full path as latin1 text. */
export type LastCommits = ReadonlyMap<string, LastCommit>;

/** Returns a text that is the same for the same directory only. */
export function directoryKey({ commit, path, repository }: ShownDirectory): string {
  return [repository.relativePath, commit, path.toString('latin1')].join('\0');
}

/** A search of git through an old history; its result is kept by the server. */
const SEARCH_LIMIT_MS = 60_000;
const MAX_SEARCHES = 2;
const MAX_FAILED = 1000;
/** After this time a failed search is tried again: the server may have been restarted. */
const FAILED_MS = 10 * 60_000;
const MAX_ENTRIES = 2000;

/**
 * Finds the last commits of directories. A search that takes longer than its page waits goes on, so
 * that a later page has the result.
 */
export class LastCommitSearches implements Disposable {
  readonly #connection: Connection;
  readonly #searches = new Map<string, Promise<LastCommits | undefined>>();
  /** Directories whose search has failed or took too long. */
  readonly #failed = new BoundedMap<string, true>({ maxEntries: MAX_FAILED, maxAgeMs: FAILED_MS });
  readonly #ending = new AbortController();

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  [Symbol.dispose](): void {
    this.#ending.abort();
  }

  /**
   * Returns the last commits; `later` if they are not known in time; `undefined` if they cannot be
   * found.
   */
  async find(directory: ShownDirectory, waitMs: number): Promise<LastCommits | 'later' | undefined> {
    const key = directoryKey(directory);
    if (this.#failed.get(key) === true) return undefined;
    let search = this.#searches.get(key);
    if (search === undefined) {
      if (this.#searches.size >= MAX_SEARCHES) return 'later';
      search = this.#search(directory)
        .catch(() => void this.#failed.set(key, true))
        .finally(() => this.#searches.delete(key));
      this.#searches.set(key, search);
    }
    return await waitAtMost(search, waitMs, () => 'later' as const);
  }

  async #search({ commit, path, repository }: ShownDirectory): Promise<LastCommits> {
    const request = {
      repository,
      revision: commit,
      path: path.length === 0 ? path : Buffer.concat([path, Buffer.from('/')]),
      limit: MAX_ENTRIES,
      globalOptions: { literalPathspecs: true },
    };
    const calls = { timeoutMs: SEARCH_LIMIT_MS, signal: this.#ending.signal };
    const found = new Map<string, LastCommit>();
    for await (const { commits } of this.#connection.commit.listLastCommitsForTree(request, calls))
      for (const each of commits) {
        if (each.commit === undefined) continue;
        const { committer, id, subject } = commitOf(each.commit);
        const last = { id, subject, date: committer.date };
        found.set(Buffer.from(each.pathBytes).toString('latin1'), last);
      }
    return found;
  }
}
