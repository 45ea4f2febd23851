import { BoundedMap } from '#base/memory/bounded-map';
import type { Repository } from '#storage/repository';
import { type FoundLicense, findLicense } from './find-license.ts';

/** @see Gitaly: licenseCache */
const MAX_ENTRIES = 100;

/** The licenses of the last repositories that were requested, by the commit of HEAD. */
export class LicenseCache {
  readonly #known = new BoundedMap<string, { readonly found: FoundLicense | undefined }>({
    maxEntries: MAX_ENTRIES,
  });

  /** Returns the license of HEAD; `undefined` if there is none, or no commit. */
  async get(repository: Repository, signal: AbortSignal): Promise<FoundLicense | undefined> {
    const head = await repository.objects.info('HEAD^{commit}', { signal });
    if (head === undefined) return undefined;
    const key = `${repository.path}\0${head.oid}`;
    const known = this.#known.get(key);
    if (known !== undefined) return known.found;
    const found = await findLicense(repository, head.oid, signal);
    this.#known.set(key, { found });
    return found;
  }
}
