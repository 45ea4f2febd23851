import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';

/** A list is used for this long, once it is read, before a request has it read again. */
const FRESH_MS = 2000;
/** A list that no request uses is forgotten. */
const KEEP_MS = 60_000;
/** Directories of object pools, which are not repositories of users. */
const POOLS = '@pools/';

interface Walk {
  readonly paths: Promise<readonly string[]>;
  /** By `performance.now()`; `undefined` while it runs. */
  endedAtMs: number | undefined;
}

/** The paths of the repositories of a storage, in order. Requests share one walk of the storage. */
export class RepositoryList {
  readonly #connection: Connection;
  readonly #storage: string;
  #walk: Walk | undefined;
  #forget: NodeJS.Timeout | undefined;

  constructor(connection: Connection, storage: string) {
    this.#connection = connection;
    this.#storage = storage;
  }

  /** @throws the error of the call that lists them. */
  async paths({ timeoutMs }: CallOptions): Promise<readonly string[]> {
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => {
      this.#walk = undefined;
    }, KEEP_MS).unref();
    const now = performance.now();
    if (this.#walk === undefined || now - (this.#walk.endedAtMs ?? now) > FRESH_MS)
      this.#walk = { paths: this.#read(timeoutMs === undefined ? {} : { timeoutMs }), endedAtMs: undefined };
    const walk = this.#walk;
    try {
      const paths = await walk.paths;
      walk.endedAtMs ??= performance.now();
      return paths;
    } catch (error) {
      if (this.#walk === walk) this.#walk = undefined;
      throw error;
    }
  }

  async #read(options: CallOptions): Promise<readonly string[]> {
    const paths: string[] = [];
    const walked = this.#connection.internal.walkRepos({ storageName: this.#storage }, options);
    for await (const { relativePath } of walked)
      if (!relativePath.startsWith(POOLS)) paths.push(relativePath);
    return paths.sort();
  }
}

/** Returns the position of the first path behind another one. */
export function positionBehind(paths: readonly string[], path: string): number {
  let [low, high] = [0, paths.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((paths[middle] ?? '') <= path) low = middle + 1;
    else high = middle;
  }
  return low;
}
