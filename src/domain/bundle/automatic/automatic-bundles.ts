import { BoundedMap } from '#base/bounded-map';
import { BackgroundQueue } from '#domain/housekeeping/schedule/background-queue';
import type { ObjectStore } from '#object-store/object-store';
import type { Repository } from '#storage/repository';
import type { BundleUriOptions, OfferedBundle } from '../offered-bundle.ts';
import { isOfferable } from './bundle-chain.ts';
import { bundleFolder, readChain, type StoredChain } from './chain-store.ts';
import { CloneCounts } from './clone-counts.ts';
import { hasChain, makeNextBundle, offeredBranch } from './make-chain.ts';

/** Bundles are made one at a time: each reads a whole repository. */
const MAX_RUNNING = 1;
const MAX_WAITING = 100;
/** Time for which a chain is not read again, and its growth is not checked again. */
const KNOWN_MS = 10_000;
const CHECK_MS = 60_000;
const MAX_KNOWN = 1000;

export interface AutomaticBundlesOptions {
  /** Age from which an outdated chain is not offered. */
  readonly maxAgeMs: number;
  /** Receives the size and duration of each bundle. */
  readonly observe: (bytes: number, seconds: number) => void;
  readonly onError: (repository: Repository, error: unknown) => void;
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
  readonly #known = new BoundedMap<string, StoredChain>({ maxEntries: MAX_KNOWN, maxAgeMs: KNOWN_MS });
  readonly #checked = new BoundedMap<string, true>({ maxEntries: MAX_KNOWN, maxAgeMs: CHECK_MS });

  constructor(bucket: ObjectStore, options: AutomaticBundlesOptions) {
    this.#bucket = bucket;
    this.#options = options;
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
    const { chain } = await this.#chainOf(folder, signal);
    if (chain === undefined) return [];
    const branch = await offeredBranch(repository, signal);
    if (branch === undefined) return [];
    const { name, oid } = branch;
    const isDescendant = await hasChain(repository, chain, { oid, signal });
    // A chain that the branch no longer has is replaced at once, growth is checked once a minute.
    const check = isDescendant ? folder : `${folder} ${oid}`;
    if (chain.bundles.at(-1)?.oid !== oid && this.#checked.get(check) === undefined) {
      this.#checked.set(check, true);
      this.#makeLater(repository, storageName);
    }
    const { maxAgeMs } = this.#options;
    if (!isOfferable(chain, { nowMs: Date.now(), branch: name.toString(), oid, isDescendant, maxAgeMs }))
      return [];
    const offers = chain.bundles.map(async ({ key, token }) => {
      const url = await this.#bucket.signedUrl(key, { validMs, signal });
      return url === undefined ? undefined : { id: `b${token}`, url, token };
    });
    const bundles = (await Promise.all(offers)).filter((offer) => offer !== undefined);
    return bundles.length === chain.bundles.length ? bundles : [];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#queue[Symbol.asyncDispose]();
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
        if (bytes === undefined) return;
        this.#known.delete(folder);
        observe(bytes, (performance.now() - start) / 1000);
      },
      onError: (error) => onError(repository, error),
    });
  }

  async #chainOf(folder: string, signal: AbortSignal): Promise<StoredChain> {
    const known = this.#known.get(folder);
    if (known !== undefined) return known;
    const stored = await readChain(this.#bucket, folder, signal);
    this.#known.set(folder, stored);
    return stored;
  }
}
