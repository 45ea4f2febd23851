import { existsSync } from 'node:fs';
import { attempt } from '#base/attempt';
import { BoundedMap } from '#base/memory/bounded-map';
import { BackgroundQueue } from '#domain/housekeeping/schedule/background-queue';
import type { ObjectStore } from '#object-store/object-store';
import type { Repository } from '#storage/repository';
import type { BundleUriOptions, OfferedBundle } from '../offered-bundle.ts';
import { type BundleChain, isOfferable } from './bundle-chain.ts';
import { bundleFolder, readChain } from './chain-store.ts';
import { CloneCounts } from './clone-counts.ts';
import { hasChain, makeNextBundle, offeredBranch, RETIRED_KEPT_MS } from './make-chain.ts';
import { PendingRemovals, type RemovedRepository } from './pending-removals.ts';
import { removeBundles } from './remove-bundles.ts';

/** Bundles are made one at a time: each reads a whole repository. */
const MAX_RUNNING = 1;
const MAX_WAITING = 100;
/** Folders of repositories that were removed: each takes a list and a deletion. */
const MAX_REMOVALS = { maxRunning: 2, maxWaiting: 100_000 } as const;
/** Time for which a chain is not read again, nor its addresses signed again. */
const KNOWN_MS = 10_000;
/** Time for which the growth of a branch is not checked again. */
const CHECK_MS = 60_000;
const MAX_KNOWN = 1000;
/**
 * Time between attempts to remove bundles that remain after a failure of the bucket or the end of a
 * server.
 */
const SWEEP_MS = 60 * 60 * 1000;
/** A key in a folder, but not the folder's own, which ends with `/uri`. */
const SWEEP = 'sweep';

export interface AutomaticBundlesOptions {
  /** Age from which an outdated chain is not offered. */
  readonly maxAgeMs: number;
  /** Receives the size and duration of each bundle. */
  readonly observe: (bytes: number, seconds: number) => void;
  readonly onError: (repository: Repository, error: unknown) => void;
  /** Notified of bundles of a removed repository that remain in the bucket. */
  readonly onLeftover: (target: RemovedRepository, error: unknown) => void;
  /** Directory that remembers removals that have not ended; absent to forget them. */
  readonly pendingRemovals?: string | undefined;
  /** Called when that directory cannot be read or written. */
  readonly onProblem?: ((error: unknown) => void) | undefined;
}

/** A chain, and its bundles with addresses once a fetch was offered them. */
interface KnownChain {
  readonly chain: BundleChain | undefined;
  bundles?: readonly OfferedBundle[];
}

/**
 * Chains of bundles that are made without being requested: when a repository is cloned often, and
 * when one with a chain has grown.
 */
export class AutomaticBundles implements AsyncDisposable {
  readonly #bucket: ObjectStore;
  readonly #options: AutomaticBundlesOptions;
  readonly #clones = new CloneCounts();
  readonly #queue = new BackgroundQueue({ maxRunning: MAX_RUNNING, maxWaiting: MAX_WAITING });
  readonly #removals = new BackgroundQueue(MAX_REMOVALS);
  readonly #pending: PendingRemovals | undefined;
  /** Removals that are being noted. */
  readonly #noting = new Set<Promise<void>>();
  #sweeps: NodeJS.Timeout | undefined;
  readonly #known = new BoundedMap<string, KnownChain>({ maxEntries: MAX_KNOWN, maxAgeMs: KNOWN_MS });
  readonly #checked = new BoundedMap<string, true>({ maxEntries: MAX_KNOWN, maxAgeMs: CHECK_MS });

  constructor(bucket: ObjectStore, options: AutomaticBundlesOptions) {
    this.#bucket = bucket;
    this.#options = options;
    const { pendingRemovals } = options;
    this.#pending = pendingRemovals === undefined ? undefined : new PendingRemovals(pendingRemovals);
  }

  /** Counts a clone that used no bundle. A bundle that is due is made later; no call waits. */
  noteClone(repository: Repository, storageName: string): void {
    if (this.#clones.count(bundleFolder(repository, storageName))) this.#makeLater(repository, storageName);
  }

  /**
   * Returns the bundles of a repository's chain, with addresses; none if there is no chain, or if
   * it must not be offered any more.
   */
  async offered(
    repository: Repository,
    { storageName, signal, validMs }: BundleUriOptions & { readonly validMs: number },
  ): Promise<readonly OfferedBundle[]> {
    const folder = bundleFolder(repository, storageName);
    const known = await this.#chainOf(folder, signal);
    const { chain } = known;
    if (chain === undefined) return [];
    const branch = await offeredBranch(repository, signal);
    if (branch === undefined) return [];
    const { name, oid } = branch;
    const isDescendant = await hasChain(repository, chain, { oid, signal });
    const nowMs = Date.now();
    // A chain that the branch no longer has is replaced at once, growth is checked once a minute.
    const check = isDescendant ? folder : `${folder} ${oid}`;
    const isDue =
      chain.bundles.at(-1)?.oid !== oid ||
      chain.retired.some(({ retiredMs }) => nowMs - retiredMs >= RETIRED_KEPT_MS);
    if (isDue && this.#checked.get(check) === undefined) {
      this.#checked.set(check, true);
      this.#makeLater(repository, storageName);
    }
    const { maxAgeMs } = this.#options;
    if (!isOfferable(chain, { nowMs, branch: name.toString(), oid, isDescendant, maxAgeMs })) return [];
    known.bundles ??= await this.#signed(chain, { validMs, signal });
    return known.bundles;
  }

  /**
   * Removes the bundles of a repository that was removed or moved away, in the background. It never
   * throws: the repository is gone.
   */
  removeLater(target: RemovedRepository): void {
    const onError = (error: unknown): void => this.#options.onLeftover(target, error);
    const folder = folderOf(target);
    if (folder === undefined) return;
    const noted = this.#note(target);
    const isAdded = this.#removals.add({
      key: folder,
      run: async (signal) => {
        await noted;
        await this.#remove(target, folder, signal);
      },
      onError,
    });
    if (!isAdded && this.#removals.isFull) onError(new Error('too many removals are waiting'));
  }

  /** Removes bundles that a failed removal or a killed server has left: now, and then hourly. */
  startSweeps(): void {
    const sweep = (): void => {
      const onError = (error: unknown): void => this.#options.onProblem?.(error);
      this.#removals.add({ key: SWEEP, run: (signal) => this.#sweep(signal), onError });
    };
    sweep();
    this.#sweeps = setInterval(sweep, SWEEP_MS).unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    clearInterval(this.#sweeps);
    await Promise.all(this.#noting);
    await this.#queue[Symbol.asyncDispose]();
    await this.#removals[Symbol.asyncDispose]();
  }

  /** Remembers a removal until it has ended. The returned promise is never rejected. */
  #note(target: RemovedRepository): Promise<void> {
    const noted = (this.#pending?.add(target) ?? Promise.resolve())
      .catch((error: unknown) => this.#options.onProblem?.(error))
      .finally(() => this.#noting.delete(noted));
    this.#noting.add(noted);
    return noted;
  }

  async #remove(target: RemovedRepository, folder: string, signal: AbortSignal): Promise<void> {
    this.#known.delete(folder);
    await removeBundles(this.#bucket, folder, signal);
    await this.#pending?.end(target);
  }

  /**
   * Removes what is left, up to the first failure: the bucket is still away then. If there is a new
   * repository at the path, its bundles are removed as well, since those of the old one must not be
   * offered to its clients; they are made again.
   */
  async #sweep(signal: AbortSignal): Promise<void> {
    for (const target of (await this.#pending?.list()) ?? []) {
      const folder = folderOf(target);
      if (folder === undefined) continue;
      try {
        await this.#remove(target, folder, signal);
      } catch (error) {
        signal.throwIfAborted();
        return this.#options.onLeftover(target, error);
      }
    }
  }

  #makeLater(repository: Repository, storageName: string): void {
    const folder = bundleFolder(repository, storageName);
    const { maxAgeMs, observe, onError } = this.#options;
    this.#queue.add({
      key: folder,
      run: async (signal) => {
        const start = performance.now();
        const options = { bucket: this.#bucket, storageName, maxAgeMs, now: Date.now, signal };
        const bytes = await makeNextBundle(repository, options);
        // The repository was removed in the meantime, perhaps before its bundle existed.
        if (!existsSync(repository.path)) return await removeBundles(this.#bucket, folder, signal);
        if (bytes === undefined) return;
        this.#known.delete(folder);
        observe(bytes, (performance.now() - start) / 1000);
      },
      onError: (error) => onError(repository, error),
    });
  }

  async #chainOf(folder: string, signal: AbortSignal): Promise<KnownChain> {
    const known = this.#known.get(folder);
    if (known !== undefined) return known;
    const { chain } = await readChain(this.#bucket, folder, signal);
    const read: KnownChain = { chain };
    this.#known.set(folder, read);
    return read;
  }

  /** Returns the bundles with their addresses; none if the bucket cannot make addresses. */
  async #signed(
    { bundles }: BundleChain,
    options: { readonly validMs: number; readonly signal: AbortSignal },
  ): Promise<OfferedBundle[]> {
    const offers = bundles.map(async ({ key, token }): Promise<OfferedBundle | undefined> => {
      const url = await this.#bucket.signedUrl(key, options);
      return url === undefined ? undefined : { id: `b${token}`, url, token };
    });
    const signed = (await Promise.all(offers)).filter((offer) => offer !== undefined);
    return signed.length === bundles.length ? signed : [];
  }
}

/** Returns the folder of a repository's bundles; `undefined` if no object can have its name. */
function folderOf(target: RemovedRepository): string | undefined {
  // A repository that is not there has none.
  return attempt(() => bundleFolder(target, target.storageName));
}
