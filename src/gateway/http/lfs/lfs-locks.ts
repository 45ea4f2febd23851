import { randomUUID } from 'node:crypto';
import { buffer } from 'node:stream/consumers';
import { GitalyError, invalidArgument } from '#base/gitaly-error';
import { JsonFields } from '#base/json-fields';
import type { CallersLimit } from '#base/limits/limit';
import { once } from '#base/streams/once';
import type { ObjectStore } from '#object-store/object-store';
import { PreconditionError } from '#object-store/store-error';

/** A lock of a file, as git-lfs shows it. */
export interface LfsLock {
  readonly id: string;
  readonly path: string;
  /** RFC 3339. */
  readonly locked_at: string;
  readonly owner: { readonly name: string };
}

/** Parsing a larger list would take longer than a few milliseconds. */
const MAX_LIST_BYTES = 512 << 10;
const MAX_PATH_CHARACTERS = 4096;
/** Attempts to replace the list while other processes do. */
const MAX_ATTEMPTS = 10;

/** Returns the locks after a change; without them, there is nothing to change. */
type Change<T> = (locks: readonly LfsLock[]) => { readonly result: T; readonly after?: readonly LfsLock[] };

/** The locks of one repository: a document that is replaced as a whole, or not. */
export class LfsLocks {
  readonly #store: ObjectStore;
  readonly #key: string;
  readonly #turns: CallersLimit;

  /** @param turns gives one change of a list at a time a turn: of many at once, most would fail. */
  constructor(store: ObjectStore, id: string, turns: CallersLimit) {
    this.#store = store;
    this.#key = `${id}/locks.json`;
    this.#turns = turns;
  }

  /** Returns all locks, in the order of their paths. */
  async list(signal: AbortSignal): Promise<readonly LfsLock[]> {
    return (await this.#read(signal)).locks;
  }

  /** Locks a file. @returns the lock, and whether somebody had it before. */
  async lock(path: string, owner: string, signal: AbortSignal): Promise<{ lock: LfsLock; isNew: boolean }> {
    if (path === '' || path.length > MAX_PATH_CHARACTERS || !path.isWellFormed())
      throw invalidArgument(`a path has 1 to ${MAX_PATH_CHARACTERS} characters of Unicode`);
    const fresh = { id: randomUUID(), path, locked_at: new Date().toISOString(), owner: { name: owner } };
    return await this.#change<{ lock: LfsLock; isNew: boolean }>(signal, (locks) => {
      const held = locks.find((lock) => lock.path === path);
      // A change whose response was lost is repeated, and refused then.
      if (held !== undefined) return { result: { lock: held, isNew: held.id === fresh.id } };
      const after = [...locks, fresh].sort((one, other) => (one.path < other.path ? -1 : 1));
      return { result: { lock: fresh, isNew: true }, after };
    });
  }

  /** Removes a lock. @param isForced also that of somebody else. */
  async unlock(
    id: string,
    { isForced, owner }: { readonly isForced: boolean; readonly owner: string },
    signal: AbortSignal,
  ): Promise<LfsLock> {
    let removed: LfsLock | undefined;
    return await this.#change(signal, (locks) => {
      const lock = locks.find((each) => each.id === id);
      if (lock === undefined && removed !== undefined) return { result: removed };
      if (lock === undefined) throw new GitalyError('NOT_FOUND', 'there is no such lock');
      if (lock.owner.name !== owner && !isForced)
        throw new GitalyError(
          'PERMISSION_DENIED',
          `${lock.owner.name} holds this lock: use --force to remove it`,
        );
      removed = lock;
      return { result: lock, after: locks.filter((each) => each !== lock) };
    });
  }

  async #change<T>(signal: AbortSignal, change: Change<T>): Promise<T> {
    const turn = await this.#turns.acquire(this.#key, { signal });
    try {
      return await this.#changeNow(signal, change);
    } finally {
      turn.release();
    }
  }

  async #changeNow<T>(signal: AbortSignal, change: Change<T>): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const { locks, version } = await this.#read(signal);
      const { after, result } = change(locks);
      if (after === undefined) return result;
      const list = JSON.stringify(after);
      if (list.length > MAX_LIST_BYTES && after.length > locks.length)
        throw new GitalyError(
          'RESOURCE_EXHAUSTED',
          `the locks of a repository have at most ${MAX_LIST_BYTES} bytes`,
        );
      const onlyIf = version === undefined ? 'absent' : { version };
      try {
        await this.#store.put(this.#key, once(Buffer.from(list)), { onlyIf, signal });
        return result;
      } catch (error) {
        if (!(error instanceof PreconditionError) || attempt === MAX_ATTEMPTS) throw error;
      }
    }
  }

  async #read(signal: AbortSignal): Promise<{ locks: readonly LfsLock[]; version: string | undefined }> {
    const facts = await this.#store.head(this.#key, { signal });
    if (facts === undefined) return { locks: [], version: undefined };
    const json: unknown = JSON.parse((await buffer(this.#store.get(this.#key, { signal }))).toString());
    const locks = Array.isArray(json) ? json.map(lockOf).filter((lock) => lock !== undefined) : [];
    return { locks, version: facts.version };
  }
}

function lockOf(value: unknown): LfsLock | undefined {
  const fields = JsonFields.of(value);
  const [id, path, lockedAt] = [fields?.text('id'), fields?.text('path'), fields?.text('locked_at')];
  const name = JsonFields.of(fields?.value('owner'))?.text('name');
  if (id === undefined || path === undefined || lockedAt === undefined || name === undefined)
    return undefined;
  return { id, path, locked_at: lockedAt, owner: { name } };
}
