import { open } from 'node:fs/promises';
import { inflateSync, constants as zlib } from 'node:zlib';
import { BoundedMap } from '#base/bounded-map';
import { systemErrorCode } from '#base/go/system-error';
import type { GitDirectory } from '#git/command/git-directory';
import { FallBackToGit, fallBackOnFailure } from '#git/in-process';
import type { ObjectReader } from '#git/objects/object-reader';

export interface PeelOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Limit of cached ids, some 120 bytes each. */
const MAX_KNOWN = 20_000;
/** Compressed bytes that always contain the first word. */
const HEAD_BYTES = 128;
const PLAIN_TYPE = /^(?:commit|tree|blob) /;

/**
 * Follows the tag objects of references. Most references point to commits: these are recognized by
 * the first bytes of a loose object, and cached, because an id never changes its meaning.
 */
export class TipPeeler {
  /** Ids of objects that are not tags. */
  readonly #plain = new BoundedMap<string, true>({ maxEntries: MAX_KNOWN });

  /**
   * Returns the final target of a tag object; `undefined` for other objects, and for a missing one.
   *
   * @throws {FallBackToGit} when the tag leads nowhere, or objects are broken.
   */
  async peel(
    repository: GitDirectory,
    objects: ObjectReader,
    oid: string,
    { signal }: PeelOptions = {},
  ): Promise<string | undefined> {
    if (this.#plain.get(oid) === true) return undefined;
    if (await isPlainLooseObject(repository, oid)) this.#plain.set(oid, true);
    else {
      const type = (await objects.info(oid, { signal }).catch(fallBackOnFailure))?.type;
      if (type === 'tag') return await endOf(objects, oid, signal);
      if (type !== undefined) this.#plain.set(oid, true);
    }
    return undefined;
  }
}

async function endOf(objects: ObjectReader, oid: string, signal: AbortSignal | undefined): Promise<string> {
  const end = await objects.info(`${oid}^{}`, { signal }).catch(fallBackOnFailure);
  if (end === undefined) throw new FallBackToGit('a tag leads to nothing');
  return end.oid;
}

/** Reports whether a loose file holds an object that is no tag. */
async function isPlainLooseObject({ objectDirectory }: GitDirectory, oid: string): Promise<boolean> {
  try {
    await using file = await open(`${objectDirectory}/${oid.slice(0, 2)}/${oid.slice(2)}`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const head = inflateSync(buffer.subarray(0, bytesRead), { finishFlush: zlib.Z_SYNC_FLUSH });
    return PLAIN_TYPE.test(head.toString('latin1', 0, 8));
  } catch (error) {
    // Not loose, or unreadable: git is queried.
    if (systemErrorCode(error) !== undefined) return false;
    throw error;
  }
}
