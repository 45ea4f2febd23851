import { GitalyError, withCode } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { objectKey } from '#object-store/object-key';
import type { ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import type { Repository } from '#storage/repository';
import { AutomaticBundles, type AutomaticBundlesOptions } from './automatic/automatic-bundles.ts';
import { bundleOf, EmptyBundleError } from './create-bundle.ts';
import type { BundleUriOptions, OfferedBundle } from './offered-bundle.ts';

/** As Gitaly's. @see Gitaly: internal/bundleuri/sink.go */
const URL_VALID_MS = 10 * 60 * 1000;

/** Bundles of default branches in a bucket, from which clones get most of their objects. */
export class BundleUris {
  readonly #bucket: ObjectStore;
  readonly #observe: (bytes: number, seconds: number) => void;

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
    const key = keyOf(repository, storageName);
    try {
      const pieces = bundleOf(repository, [head], { signal });
      const bytes = await putUnlessEmpty(this.#bucket, key, pieces, { signal });
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
   * no addresses.
   */
  async offered(repository: Repository, options: BundleUriOptions): Promise<readonly OfferedBundle[]> {
    const automatic = await this.automatic.offered(repository, { ...options, validMs: URL_VALID_MS });
    if (automatic.length > 0) return automatic;
    const { storageName, signal } = options;
    const key = keyOf(repository, storageName);
    const url = await this.#bucket.signedUrl(key, { validMs: URL_VALID_MS, signal });
    if (url === undefined || (await this.#bucket.head(key, { signal })) === undefined) return [];
    return [{ id: 'default', url, token: 1 }]; // the token never changes: it is downloaded once
  }
}

function keyOf({ relativePath }: Repository, storageName: string): string {
  return objectKey(storageName, relativePath, 'uri', 'default.bundle');
}
