import { GitalyError, withCode } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { Repository } from '#storage/repository';
import { type Bucket, writeUnlessEmpty } from '../bucket/bucket.ts';
import { objectKey } from '../bucket/object-key.ts';
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
  readonly #bucket: Bucket;
  readonly #observe: (bytes: number, seconds: number) => void;

  /** @param observe sees the size and duration of each bundle. */
  constructor(bucket: Bucket, observe: (bytes: number, seconds: number) => void) {
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
      const bytes = await writeUnlessEmpty(this.#bucket, key, bundleOf(repository, [head], { signal }));
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
   * @param storageName as in {@link BundleUriOptions}.
   */
  async publicUrl(repository: Repository, storageName: string): Promise<string | undefined> {
    if (this.#bucket.publicUrl === undefined) return undefined;
    const key = keyOf(repository, storageName);
    return (await this.#bucket.exists(key)) ? this.#bucket.publicUrl(key, URL_VALID_MS) : undefined;
  }
}

function keyOf({ relativePath }: Repository, storageName: string): string {
  return objectKey(storageName, relativePath, 'uri', 'default.bundle');
}
