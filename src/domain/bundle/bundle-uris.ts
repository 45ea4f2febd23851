import { limitedSignal } from '#base/async/limited-signal';
import { GitalyError, withCode } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { BoundedMap } from '#base/memory/bounded-map';
import { objectKey } from '#object-store/object-key';
import type { ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import { StoreError } from '#object-store/store-error';
import type { Repository } from '#storage/repository';
import { AutomaticBundles, type AutomaticBundlesOptions } from './automatic/automatic-bundles.ts';
import { offeredBranch } from './automatic/make-chain.ts';
import { bundleOf } from './create-bundle.ts';
import { EmptyBundleError } from './empty-bundle-error.ts';
import type { BundleUriOptions, OfferedBundle } from './offered-bundle.ts';

/** The same as Gitaly's. @see Gitaly: internal/bundleuri/sink.go */
const URL_VALID_MS = 10 * 60 * 1000;
/** Time that a fetch waits for the bucket. After it, the fetch continues without bundles. */
const LIMIT_MS = 2000;
/** Time without requests to a bucket that failed or had no bundle. */
const PAUSE_MS = 10_000;
const MAX_MISSING = 1000;

/** Bundles of default branches in a bucket, from which clones get most of their objects. */
export class BundleUris {
  readonly #bucket: ObjectStore;
  readonly #observe: (bytes: number, seconds: number) => void;
  /** Keys of requested bundles that do not exist. */
  readonly #missing = new BoundedMap<string, true>({ maxEntries: MAX_MISSING, maxAgeMs: PAUSE_MS });
  #pausedUntilMs = 0;

  /** Bundles that are made when clones are frequent. */
  readonly automatic: AutomaticBundles;

  /** @param automatic of the same bucket; `observe` receives the size and duration of each bundle. */
  constructor(bucket: ObjectStore, automatic: AutomaticBundlesOptions) {
    this.#bucket = bucket;
    this.#observe = automatic.observe;
    this.automatic = new AutomaticBundles(bucket, automatic);
  }

  /**
   * Stores a bundle of the branch that HEAD names, in place of an older one.
   *
   * @throws {GitalyError} FAILED_PRECONDITION when the branch does not exist; INTERNAL.
   */
  async generate(repository: Repository, { storageName, signal }: BundleUriOptions): Promise<void> {
    const head = await repository.refs.headTarget({ signal });
    const startedAt = performance.now();
    const key = bundleKey(repository, storageName);
    try {
      const pieces = bundleOf(repository, [head], { signal });
      const bytes = await putUnlessEmpty(this.#bucket, key, pieces, { signal });
      this.#missing.delete(key);
      this.#observe(bytes, (performance.now() - startedAt) / 1000);
    } catch (error) {
      if (!(error instanceof EmptyBundleError)) throw withCode(error, 'INTERNAL');
      const message = `ref ${quote(head)} does not exist: create bundle: ${error.message}`;
      throw new GitalyError('FAILED_PRECONDITION', message, { cause: error });
    }
  }

  /**
   * Returns the bundles of a repository, with addresses at which anybody can download them for some
   * minutes: the automatic ones, else the one that was requested. There are none if the bucket has
   * no addresses. A bucket that does not answer is left alone for some seconds.
   */
  async offered(repository: Repository, options: BundleUriOptions): Promise<readonly OfferedBundle[]> {
    if (performance.now() < this.#pausedUntilMs) return [];
    using limit = limitedSignal(LIMIT_MS, options.signal);
    const limited = { ...options, signal: limit.signal };
    try {
      const automatic = await this.automatic.offered(repository, { ...limited, validMs: URL_VALID_MS });
      return automatic.length > 0 ? automatic : await this.#requested(repository, limited);
    } catch (error) {
      const isSlow = limit.signal.aborted && !options.signal.aborted;
      if (isSlow || error instanceof StoreError) this.#pausedUntilMs = performance.now() + PAUSE_MS;
      throw error;
    }
  }

  async #requested(repository: Repository, options: BundleUriOptions): Promise<readonly OfferedBundle[]> {
    const { storageName, signal } = options;
    const key = bundleKey(repository, storageName);
    if (this.#missing.get(key) !== undefined) return [];
    const url = await this.#bucket.signedUrl(key, { validMs: URL_VALID_MS, signal });
    if (url === undefined || (await this.#bucket.head(key, { signal })) === undefined) {
      this.#missing.set(key, true);
      return [];
    }
    if ((await offeredBranch(repository, signal)) === undefined) return []; // it is hidden
    return [{ id: 'default', url, token: 1 }]; // the token never changes: it is downloaded once
  }
}

function bundleKey({ relativePath }: Repository, storageName: string): string {
  return objectKey(storageName, relativePath, 'uri', 'default.bundle');
}
