import { GitalyError } from '#base/gitaly-error';
import { BoundedMap } from '#base/memory/bounded-map';
import { removeRepository } from '#storage/lifecycle/remove-repository';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import type { Storages } from '#storage/storages';
import { deleteReferences } from '../ref-update/delete-references.ts';
import { dueMarkers, type Marker, markedPath, removeMarker, writeMarker } from './due-index.ts';
import { earliest, type Lifetimes, readLifetimes } from './lifetime-file.ts';
import { changeLifetimes } from './set-lifetime.ts';

/** A marker of a repository that is being moved there is older than this only after a crash. */
const MOVE_MS = 60_000;
const RETRY_MS = 60_000;
const MAX_FAILED = 10_000;

type PlacedMarker = Marker & { readonly relativePath: string };

/** Notified of removed repositories and references. */
export interface ExpiryObserver {
  /** @param references full names; empty: the repository. */
  onExpired(repository: Repository, references: readonly Buffer[]): void;
  /** It is tried again a minute later. @param relativePath or the name of a marker that cannot be read. */
  onFailed(relativePath: string, error: unknown): void;
}

/** Removes repositories and references whose time has come. */
export class Expiry {
  readonly #storages: Storages;
  readonly #observer: ExpiryObserver;
  readonly #retryMs = new BoundedMap<string, number>({ maxEntries: MAX_FAILED });

  constructor(storages: Storages, observer: ExpiryObserver) {
    this.#storages = storages;
    this.#observer = observer;
  }

  /** Removes the expired repositories and references of a storage. */
  async sweep(storage: Storage, signal: AbortSignal): Promise<void> {
    for await (const marker of dueMarkers(storage, Date.now())) {
      if (signal.aborted) return;
      const key = `${storage.name}/${marker.name}`;
      if ((this.#retryMs.get(key) ?? 0) > Date.now()) continue;
      let relativePath: string | undefined;
      try {
        relativePath = await markedPath(storage, marker);
        if (relativePath !== undefined) await this.#visit(storage, { ...marker, relativePath }, signal);
      } catch (error) {
        if (signal.aborted) return;
        this.#retryMs.set(key, Date.now() + RETRY_MS);
        this.#observer.onFailed(relativePath ?? marker.name, error);
      }
    }
  }

  async #visit(storage: Storage, marker: PlacedMarker, signal: AbortSignal): Promise<void> {
    const repository = this.#find(storage, marker);
    if (repository === undefined) {
      if (Date.now() - marker.writtenMs > MOVE_MS) await removeMarker(storage, marker.name);
      return;
    }
    const { repositoryMs } = await readLifetimes(repository.path);
    if (isOver(repositoryMs)) {
      await this.#remove(repository);
    } else {
      const nextMs = earliest(await this.#removeReferences(repository, signal));
      const next = nextMs === undefined ? undefined : await writeMarker(repository, nextMs);
      if (next === marker.name) return;
    }
    await removeMarker(storage, marker.name);
  }

  #find(storage: Storage, { relativePath }: PlacedMarker): Repository | undefined {
    try {
      return this.#storages.open({ storageName: storage.name, relativePath });
    } catch (error) {
      if (error instanceof GitalyError && error.code === 'NOT_FOUND') return undefined;
      throw error;
    }
  }

  async #remove(repository: Repository): Promise<void> {
    // The repository is locked in this phase, so its time can no longer be changed.
    const requireOver = async (phase: string): Promise<void> => {
      if (phase === 'prepared' && !isOver((await readLifetimes(repository.path)).repositoryMs))
        throw new GitalyError('ABORTED', 'the lifetime of the repository was extended');
    };
    await removeRepository(this.#storages, repository, { vote: requireOver });
    this.#observer.onExpired(repository, []);
  }

  /**
   * Deletes references under the lock, so that their time cannot be extended meanwhile. @returns
   * the remaining ones.
   */
  async #removeReferences(repository: Repository, signal: AbortSignal): Promise<Lifetimes> {
    return await changeLifetimes(repository, signal, async ({ repositoryMs, referencesMs }) => {
      const left = new Map(referencesMs);
      const over: Buffer[] = [];
      for (const [name, ms] of referencesMs)
        if (isOver(ms) && left.delete(name)) over.push(Buffer.from(name, 'latin1'));
      if (over.length > 0) {
        await deleteReferences(repository, over, { vote: undefined, signal });
        this.#observer.onExpired(repository, over);
      }
      return { repositoryMs, referencesMs: left };
    });
  }
}

function isOver(ms: number | undefined): boolean {
  return ms !== undefined && ms <= Date.now();
}
