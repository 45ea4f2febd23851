import { BoundedMap } from '#base/memory/bounded-map';
import type { ChainState } from '#generations/chain/chain-state';
import { ProtocolError } from '#generations/errors';
import { unpin } from '#generations/forks';
import { nameOfKey, numberOfKey, partOfKey, repositoriesPrefix } from '#generations/keys';
import { type ArchiveBucket, chainOf } from '../bucket/archive-bucket.ts';
import { SETTING } from '../capture/capture-settings.ts';
import { chooseKept, type DatedCheckpoint, type Kept, type Retention } from './retention.ts';

/** Repositories with nothing to do that are remembered. */
const MAX_REMEMBERED = 20_000;

/**
 * A repository with something to delete: by its path, by its id if it was removed, or by the id of
 * a chain that was given up, or that has no name because its creation did not end.
 */
export type DueRepository =
  | { readonly path: string }
  | { readonly id: string }
  | { readonly givenUp: string }
  | { readonly unnamed: string };

/** A repository as a list of the bucket shows it. */
interface Listed {
  readonly id: string;
  readonly checkpoints: DatedCheckpoint[];
  readonly generations: number[];
  packs: number;
  /** Time of the last generation. */
  lastMs: number;
  /** Time at which the chain was given up. */
  givenUpMs?: number;
}

/**
 * Finds repositories of an archive with something to delete, without a request for each: a list of
 * the bucket shows what an idle one has. Only what has changed since is read.
 */
export class IdleRepositories {
  readonly #bucket: ArchiveBucket;
  readonly #retention: Retention;
  /** Facts of repositories that had nothing to do, by id. */
  readonly #seen = new BoundedMap<string, string>({ maxEntries: MAX_REMEMBERED });

  constructor(bucket: ArchiveBucket, retention: Retention) {
    this.#bucket = bucket;
    this.#retention = retention;
  }

  /**
   * Yields the repositories whose ids begin with a text, and that have something to delete.
   *
   * @throws {ProtocolError} `damaged`, after all others, if one cannot be read.
   */
  async *due(idPrefix: string): AsyncGenerator<DueRepository> {
    let damaged: ProtocolError | undefined;
    for await (const listed of this.#list(idPrefix)) {
      const due = await this.#dueOf(listed).catch((error: unknown) => {
        if (!(error instanceof ProtocolError && error.problem === 'damaged')) throw error;
        damaged ??= error;
      });
      if (due !== undefined) yield due;
    }
    if (damaged !== undefined) throw damaged;
  }

  async #dueOf(listed: Listed): Promise<DueRepository | undefined> {
    const { checkpoints, generations, givenUpMs, id, lastMs } = listed;
    const nowMs = this.#bucket.environment.clock.wallMs();
    // Nothing else of a chain that was given up can be read.
    if (givenUpMs !== undefined)
      return nowMs - givenUpMs >= this.#bucket.times.graceMs ? { givenUp: id } : undefined;
    const kept = chooseKept(checkpoints, this.#retention, nowMs);
    const last = newest(listed);
    const mayDelete =
      checkpoints.some(({ n }) => n < last && !kept.checkpoints.has(n)) ||
      generations.some((n) => n > last || n < kept.from);
    if (!mayDelete) return undefined;
    const isOld = this.#isOver(lastMs, nowMs);
    const isIdle = nowMs - lastMs >= this.#bucket.times.graceMs;
    const facts = [generations.length, generations.at(-1), checkpoints.length, kept.checkpoints.size];
    const seen = [...facts, kept.from, isIdle, isOld].join(' ');
    if (this.#seen.get(id) === seen) return undefined;
    const { state } = await chainOf(this.#bucket, id).follow();
    const isDue = this.#isDue(listed, { kept, nowMs, state });
    const due = isDue ? await this.#named(id, state, isIdle) : undefined;
    if (due === undefined) this.#seen.set(id, seen);
    // What holds it may be erased later: that changes nothing here.
    else if (!('id' in due) || state.isErased || !(await isHeld(this.#bucket, id))) return due;
  }

  /**
   * Returns a repository by its name; `undefined` while that changes.
   *
   * @param isIdle false if it may be under creation.
   */
  async #named(id: string, state: ChainState, isIdle: boolean): Promise<DueRepository | undefined> {
    const path = state.settings.get(SETTING.path);
    if (!state.exists) return { id };
    if (path !== undefined && (await this.#bucket.paths.resolve(path)) === id) return { path };
    return isIdle && !(await hasHadName(this.#bucket, id, state)) ? { unnamed: id } : undefined;
  }

  #isDue(
    listed: Listed,
    { kept, nowMs, state }: { readonly kept: Kept; readonly nowMs: number; readonly state: ChainState },
  ): boolean {
    const last = newest(listed);
    const { checkpoints, generations, packs } = listed;
    if (state.isErased)
      return state.changes + packs > 0 || checkpoints.length > 1 || generations.some((n) => n < last);
    if (!state.exists) return this.#isOver(state.timeMs, nowMs);
    return (
      state.changes > 0 ||
      checkpoints.some(({ n }) => n < last && !kept.checkpoints.has(n)) ||
      generations.some((n) => n < kept.from && !state.kept.has(n))
    );
  }

  /** Reports whether the time of a removed repository is over. */
  #isOver(removalMs: number, nowMs: number): boolean {
    const { removedMs } = this.#retention;
    return removedMs > 0 && nowMs - removalMs >= removedMs;
  }

  async *#list(idPrefix: string): AsyncGenerator<Listed> {
    let listed: Listed | undefined;
    for await (const page of this.#bucket.environment.bucket.list(repositoriesPrefix(idPrefix)))
      for (const { key, modifiedMs } of page) {
        const { id, part } = partOfKey(key) ?? {};
        if (id === undefined) continue;
        if (listed !== undefined && listed.id !== id) yield listed;
        if (listed?.id !== id) listed = { id, checkpoints: [], generations: [], packs: 0, lastMs: 0 };
        if (part === 'p') listed.packs++;
        else if (part === 'given-up') listed.givenUpMs = modifiedMs;
        else if (part === 'cp' && !key.endsWith('.refs'))
          listed.checkpoints.push({ n: numberOfKey(key), timeMs: modifiedMs });
        else if (part === 'g' && /^\d+$/.test(nameOfKey(key))) {
          listed.generations.push(numberOfKey(key));
          listed.lastMs = modifiedMs;
        }
      }
    if (listed !== undefined) yield listed;
  }
}

/** Returns the number of the last checkpoint. */
function newest({ checkpoints }: Listed): number {
  return checkpoints.at(-1)?.n ?? 0;
}

/**
 * Reports whether a repository has or had a name. A chain is named after its state has the path.
 *
 * @param state the one at its head.
 */
export async function hasHadName(
  { paths }: ArchiveBucket,
  id: string,
  { settings }: ChainState,
): Promise<boolean> {
  const path = settings.get(SETTING.path);
  if (path === undefined) return false;
  for await (const record of paths.records(path)) if (record.id === id) return true;
  return false;
}

/** Reports whether a repository that is not erased may use the objects of another. */
async function isHeld(bucket: ArchiveBucket, id: string): Promise<boolean> {
  const source = chainOf(bucket, id);
  for await (const page of bucket.environment.bucket.list(source.options.keys.pins))
    for (const { key } of page) {
      const fork = decodeURIComponent(nameOfKey(key));
      const { state } = await chainOf(bucket, fork).follow();
      if (state.n > 0 && !state.isErased) return true;
      await unpin(source, fork);
    }
  return false;
}
