import { setTimeout as delay } from 'node:timers/promises';
import { abortable } from '#base/async/abortable';
import { timeLeftMs } from '#base/async/time-left';
import { waitAtMost } from '#base/async/wait-at-most';
import type { Connection } from '#client/connection';
import { RepositoryMeasurer } from './repository-measurer.ts';
import { type FoundRepository, type ListedRepository, RepositoryTable } from './repository-table.ts';
import { type RepositoryScanner, scanTable } from './scanned-table.ts';

/**
 * Returns the times at which the references or objects of repositories last changed: Unix times in
 * milliseconds, 0 for a repository that is missing.
 */
export type ReadLastWrites = (relativePaths: readonly string[]) => Promise<readonly number[]>;

export interface RepositoryCatalogOptions {
  readonly connection: Connection;
  readonly storage: string;
  /** Default: the times are those of the directories, and figures are read again at intervals. */
  readonly lastWrites?: ReadLastWrites | undefined;
  /** Default: the storage is walked by RPC. */
  readonly scanner?: RepositoryScanner | undefined;
}

/** The repositories as far as they are known. */
export interface KnownRepositories {
  readonly table: RepositoryTable;
  /** False while the storage is walked for the first time. */
  readonly isComplete: boolean;
}

/** A list is used for this long before a request has it read again. */
const FRESH_MS = { walk: 2000, scan: 200 } as const;
/** Walks take at most this part of the time, and scans of many directories. */
const WALK_SHARE = 1 / 20;
/** Reading the modification times of this number takes a few milliseconds. */
const FEW_DIRECTORIES = 256;
/** A request waits for this long for an old list to be read again, and uses it otherwise. */
const RENEW_WAIT_MS = { walk: 100, cheapScan: 1000 } as const;
/** A list that no request uses is forgotten: a million repositories take some 200 MB. */
const KEEP_MS = 1_800_000;
/** Measuring stops when there was no request for this time. */
const MEASURE_MS = 300_000;
/** After a request nothing is measured for this long: the browser still loads the page. */
const QUIET_MS = 300;
/** If there are always requests, a batch waits for this long. */
const MAX_QUIET_MS = 1000;
/** Without times of changes, each repository is measured again after this. */
const MEASURE_AGAIN_MS = 600_000;
const BATCH = 64;
/** Repositories of a page that are measured at a time. */
const AT_ONCE = 8;
const COUNT_WAIT_MS = 1000;
/** Repositories found so far, shown before the walk ends. */
const MAX_PARTIAL = 10_000;
/** Directories of object pools, which are not repositories of users. */
const POOLS = '@pools/';

/**
 * The repositories of a storage with their usage, in memory, so that no request walks the storage.
 * The figures are measured one repository at a time in the background, as long as there are
 * requests; those of a requested page are measured for it.
 */
export class RepositoryCatalog implements Disposable {
  readonly #options: RepositoryCatalogOptions;
  readonly #measurer: RepositoryMeasurer;
  readonly #end = new AbortController();
  #table: RepositoryTable | undefined;
  /** The table to which the scanner finds the changes. */
  #scanned: RepositoryTable | undefined;
  /** The repositories that the first walk has found so far. */
  #found: FoundRepository[] = [];
  #walking: Promise<RepositoryTable> | undefined;
  #walkMs = 0;
  #walkedAtMs = Number.NEGATIVE_INFINITY;
  #usedAtMs = Number.NEGATIVE_INFINITY;
  #measuring: Promise<void> | undefined;
  #measuredAllAtMs = Number.NEGATIVE_INFINITY;
  /** Name behind which measuring continues when there is another table. */
  #measuredUpTo = '';
  #forget: NodeJS.Timeout | undefined;

  constructor(options: RepositoryCatalogOptions) {
    this.#options = options;
    this.#measurer = new RepositoryMeasurer(options.connection, options.storage);
  }

  [Symbol.dispose](): void {
    this.#end.abort(new Error('the console ends'));
    clearTimeout(this.#forget);
  }

  /**
   * Returns the repositories. Waits for the first walk of the storage, then returns what it has
   * found so far.
   *
   * @throws the error of the call that lists them, the signal's reason.
   */
  async list({
    signal,
    waitMs,
  }: {
    readonly waitMs: number;
    readonly signal: AbortSignal;
  }): Promise<KnownRepositories> {
    this.#noteUse();
    const table = this.#table;
    if (table !== undefined) {
      if (!this.#isOld()) return { table, isComplete: true };
      const renewed = this.#walk().catch(() => undefined); // the previous list stays in use
      const wait = this.#isCheap ? RENEW_WAIT_MS.cheapScan : RENEW_WAIT_MS.walk;
      return { table: (await abortable(waitAtMost(renewed, wait), signal)) ?? table, isComplete: true };
    }
    const walked = await abortable(waitAtMost(this.#walk(), waitMs), signal);
    if (walked !== undefined) return { table: walked, isComplete: true };
    const partial = await RepositoryTable.of(this.#found.slice(0, MAX_PARTIAL), { signal });
    return { table: partial, isComplete: false };
  }

  /** Returns the number of repositories; `undefined` until the first walk ends. @throws as `list`. */
  async count(signal: AbortSignal): Promise<number | undefined> {
    const { isComplete, table } = await this.list({ signal, waitMs: COUNT_WAIT_MS });
    return isComplete ? table.size : undefined;
  }

  /** Waits until all repositories are measured, for a limited time. @throws the signal's reason. */
  async settle({ signal, waitMs }: { readonly waitMs: number; readonly signal: AbortSignal }): Promise<void> {
    if (this.#measuring !== undefined) await abortable(waitAtMost(this.#measuring, waitMs), signal);
  }

  /**
   * Measures the repositories of a page that have changed since their last measurement, for a
   * limited time. @returns the repositories with the figures known then.
   */
  async measure(
    table: RepositoryTable,
    rows: readonly ListedRepository[],
    { signal, waitMs }: { readonly waitMs: number; readonly signal: AbortSignal },
  ): Promise<ListedRepository[]> {
    const limit = AbortSignal.any([signal, this.#end.signal, AbortSignal.timeout(waitMs)]);
    await this.#readTimes(table, rows);
    const due = rows.filter(({ index }) => table.isStale(index)).values();
    const work = async (): Promise<void> => {
      for (const row of due) if (!limit.aborted) await this.#measureOne(table, row, limit);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    signal.throwIfAborted();
    return rows.map(({ index }) => table.at(index));
  }

  /** Reports whether reading the list again takes some milliseconds. */
  get #isCheap(): boolean {
    const { scanner } = this.#options;
    return scanner !== undefined && scanner.size <= FEW_DIRECTORIES;
  }

  #isOld(): boolean {
    const leastMs = this.#options.scanner === undefined ? FRESH_MS.walk : FRESH_MS.scan;
    const freshMs = this.#isCheap ? leastMs : Math.max(leastMs, this.#walkMs / WALK_SHARE);
    return performance.now() - this.#walkedAtMs > freshMs;
  }

  #noteUse(): void {
    this.#usedAtMs = performance.now();
    clearTimeout(this.#forget);
    this.#forget = setTimeout(() => {
      this.#table = undefined;
      this.#scanned = undefined;
    }, KEEP_MS).unref();
  }

  /** Reads the list once for all concurrent requests. The previous list is used in the meantime. */
  #walk(): Promise<RepositoryTable> {
    if (this.#walking !== undefined) return this.#walking;
    const startedAtMs = performance.now();
    // The next scan looks only for changes.
    const isFirstScan = this.#options.scanner !== undefined && this.#scanned === undefined;
    const walking = this.#read();
    this.#walking = walking;
    const finish = (table: RepositoryTable | undefined): void => {
      this.#walking = undefined;
      this.#found = [];
      this.#walkedAtMs = performance.now();
      this.#walkMs = isFirstScan ? 0 : this.#walkedAtMs - startedAtMs;
      this.#scanned = table;
      if (table === undefined) return;
      this.#table = table;
      this.#measureInBackground();
    };
    walking.then(finish, () => finish(undefined));
    return walking;
  }

  async #read(): Promise<RepositoryTable> {
    const { connection, scanner, storage } = this.#options;
    const { signal } = this.#end;
    const found: FoundRepository[] = [];
    this.#found = found;
    if (scanner !== undefined) {
      const onFound = (more: readonly FoundRepository[]): void => {
        if (found.length < MAX_PARTIAL) found.push(...more.slice(0, MAX_PARTIAL));
      };
      return await scanTable(scanner, { previous: this.#scanned, figures: this.#table, onFound, signal });
    }
    const walked = connection.internal.walkRepos({ storageName: storage }, { signal });
    for await (const { modificationTime, relativePath } of walked) {
      if (relativePath.startsWith(POOLS)) continue;
      found.push({ name: relativePath, changedMs: Number(modificationTime?.seconds ?? 0n) * 1000 });
    }
    return await RepositoryTable.of(found, { previous: this.#table, signal });
  }

  /**
   * Measures repositories that have changed since their last measurement, as long as there are
   * requests.
   */
  #measureInBackground(): void {
    // An error means that the console ends, or that the server is away: the next walk starts again.
    this.#measuring ??= this.#measureTables()
      .catch(() => {})
      .finally(() => {
        this.#measuring = undefined;
      });
  }

  async #measureTables(): Promise<void> {
    let measured: RepositoryTable | undefined;
    while (this.#table !== undefined && this.#table !== measured) {
      measured = this.#table;
      await this.#measureAll(measured);
    }
  }

  /** Ends early when there are no more requests, and when a walk has made another table. */
  async #measureAll(table: RepositoryTable): Promise<void> {
    const { signal } = this.#end;
    const isAgain =
      this.#options.lastWrites === undefined && performance.now() - this.#measuredAllAtMs > MEASURE_AGAIN_MS;
    const first = table.positionOf(this.#measuredUpTo);
    for (let done = 0; done < table.size; done += BATCH) {
      if (performance.now() - this.#usedAtMs > MEASURE_MS || this.#table !== table) return;
      const startedAtMs = performance.now();
      let quietMs = 0;
      const count = Math.min(BATCH, table.size - done);
      const rows = Array.from({ length: count }, (_, offset) =>
        table.at((first + done + offset) % table.size),
      );
      quietMs += await this.#quiet(MAX_QUIET_MS);
      await this.#readTimes(table, rows);
      for (const row of rows)
        if (isAgain || table.isStale(row.index)) {
          quietMs += await this.#quiet(MAX_QUIET_MS - quietMs);
          await this.#measureOne(table, row, signal);
        }
      this.#measuredUpTo = rows.at(-1)?.name ?? '';
      // Waits as long as the batch took, so that measuring uses at most half of a core.
      const workedUntilMs = performance.now() - quietMs;
      await delay(timeLeftMs(workedUntilMs, startedAtMs), undefined, { signal, ref: false });
    }
    this.#measuredAllAtMs = performance.now();
  }

  /** Waits until there was no request for a moment, for a limited time. @returns the time it took. */
  async #quiet(limitMs: number): Promise<number> {
    const { signal } = this.#end;
    const startedAtMs = performance.now();
    const waitedMs = (): number => performance.now() - startedAtMs;
    const leftMs = (): number =>
      Math.min(timeLeftMs(this.#usedAtMs + QUIET_MS), timeLeftMs(startedAtMs + limitMs));
    for (let ms = leftMs(); ms > 0; ms = leftMs()) await delay(ms, undefined, { signal, ref: false });
    return waitedMs();
  }

  async #readTimes(table: RepositoryTable, rows: readonly ListedRepository[]): Promise<void> {
    const times = (await this.#options.lastWrites?.(rows.map(({ name }) => name))) ?? [];
    for (const [position, { index }] of rows.entries()) {
      const time = times[position];
      if (time !== undefined && time > 0) table.setChanged(index, time);
    }
  }

  /** A repository that cannot be measured stays as it is: it was removed, or is broken. */
  async #measureOne(
    table: RepositoryTable,
    { index, name }: ListedRepository,
    signal: AbortSignal,
  ): Promise<void> {
    const figures = await this.#measurer.measure(name, signal).catch(() => undefined);
    if (figures !== undefined) table.setFigures(index, figures);
  }
}
