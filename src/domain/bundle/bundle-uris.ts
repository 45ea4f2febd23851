import { GitalyError, withCode } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { objectKey } from '#object-store/object-key';
import type { ObjectStore } from '#object-store/object-store';
import { putUnlessEmpty } from '#object-store/pieces';
import type { Repository } from '#storage/repository';
import { bundleOf, EmptyBundleError } from './create-bundle.ts';

/** As Gitaly's. @see Gitaly: internal/bundleuri/sink.go */
const URL_VALID_MS = 10 * 60 * 1000;

export interface BundleUriOptions {
  /** Storage in the bucket; the virtual one behind a Praefect, so that nodes share bundles. */
  readonly storageName: string;
  readonly signal: AbortSignal;
}

/** Bundles of default branches in a bucket, from which clones get most of their objects. */
export class BundleUris {
  readonly #bucket: ObjectStore;
  readonly #observe: (bytes: number, seconds: number) => void;

  /** @param observe sees the size and duration of each bundle. */
  constructor(bucket: ObjectStore, observe: (bytes: number, seconds: number) => void) {
    this.#bucket = bucket;
    this.#observe = observe;
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
   * Returns an address at which anybody can download the bundle of a repository for some minutes;
   * `undefined` if there is no bundle, or if the bucket has no addresses.
   *
   */
  async publicUrl(
    repository: Repository,
    { storageName, signal }: BundleUriOptions,
  ): Promise<string | undefined> {
    const key = keyOf(repository, storageName);
    const url = await this.#bucket.signedUrl(key, { validMs: URL_VALID_MS, signal });
    if (url === undefined || (await this.#bucket.head(key, { signal })) === undefined) return undefined;
    return url;
  }
}

function keyOf({ relativePath }: Repository, storageName: string): string {
  return objectKey(storageName, relativePath, 'uri', 'default.bundle');
}
