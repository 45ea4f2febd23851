import { GitalyError, withCode } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import type { Repository } from '#storage/repository';
import { type Bucket, writeUnlessEmpty } from '../bucket/bucket.ts';
import { objectKey } from '../bucket/object-key.ts';
import { bundleOf, EmptyBundleError } from './create-bundle.ts';

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
    const key = objectKey(storageName, repository.relativePath, 'uri', 'default.bundle');
    try {
      const bytes = await writeUnlessEmpty(this.#bucket, key, bundleOf(repository, [head], { signal }));
      this.#observe(bytes, (performance.now() - startedAt) / 1000);
    } catch (error) {
      if (!(error instanceof EmptyBundleError)) throw withCode(error, 'INTERNAL');
      const message = `ref ${quote(head)} does not exist: create bundle: ${error.message}`;
      throw new GitalyError('FAILED_PRECONDITION', message, { cause: error });
    }
  }
}
