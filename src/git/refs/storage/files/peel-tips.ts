import { BoundedMap } from '#base/memory/bounded-map';
import { FallBackToGit, fallBackOnFailure } from '#git/command/in-process';
import type { ObjectReader } from '#git/objects/object-reader';

export interface PeelOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Limit of cached ids, some 120 bytes each. */
const MAX_KNOWN = 20_000;

/**
 * Follows the tag objects of references. Most references point to commits: these are cached,
 * because an id never changes its meaning.
 */
export class TipPeeler {
  /** Ids of objects that are not tags. */
  readonly #plain = new BoundedMap<string, true>({ maxEntries: MAX_KNOWN });

  /**
   * Returns the final target of a tag object; `undefined` for other objects, and for a missing one.
   *
   * @throws {FallBackToGit} when the tag leads nowhere, or objects are broken.
   */
  async peel(objects: ObjectReader, oid: string, { signal }: PeelOptions = {}): Promise<string | undefined> {
    if (this.#plain.get(oid) === true) return undefined;
    const type = (await objects.info(oid, { signal }).catch(fallBackOnFailure))?.type;
    if (type === 'tag') return await endOf(objects, oid, signal);
    if (type !== undefined) this.#plain.set(oid, true);
    return undefined;
  }
}

async function endOf(objects: ObjectReader, oid: string, signal: AbortSignal | undefined): Promise<string> {
  const end = await objects.info(`${oid}^{}`, { signal }).catch(fallBackOnFailure);
  if (end === undefined) throw new FallBackToGit('a tag leads to nothing');
  return end.oid;
}
