import { open } from 'node:fs/promises';
import { inflateSync, constants as zlib } from 'node:zlib';
import { systemErrorCode } from '#base/system-error';
import type { ObjectReader } from '../objects/object-reader.ts';
import type { GitRepository } from '../repository.ts';
import { OddReferencesError } from './odd-references.ts';

export interface PeelOptions {
  readonly signal?: AbortSignal | undefined;
}

/** Ids that are remembered, some 120 bytes each. */
const MAX_KNOWN = 20_000;
/** Compressed bytes that surely hold the first word. */
const HEAD_BYTES = 128;
const PLAIN_TYPE = /^(?:commit|tree|blob) /;

/**
 * Follows tag objects that references point to. Most references point to commits: those are known by the first bytes of a loose
 * object, and remembered, as an id is never anything else.
 */
export class TipPeeler {
  /** Ids of objects that are no tags, in order of use. */
  readonly #plain = new Set<string>();

  /**
   * What the tag object of this id leads to in the end; `undefined` for other objects, and for one that is not there.
   *
   * @throws {OddReferencesError} when the tag leads nowhere, or objects are broken.
   */
  async peel(
    repository: GitRepository,
    objects: ObjectReader,
    oid: string,
    { signal }: PeelOptions = {},
  ): Promise<string | undefined> {
    if (this.#plain.delete(oid)) {
      this.#plain.add(oid);
      return undefined;
    }
    if (await isPlainLooseObject(repository, oid)) this.#remember(oid);
    else {
      const type = (await infoOf(objects, oid, signal))?.type;
      if (type === 'tag') return await endOf(objects, oid, signal);
      if (type !== undefined) this.#remember(oid);
    }
    return undefined;
  }

  #remember(oid: string): void {
    this.#plain.add(oid);
    if (this.#plain.size <= MAX_KNOWN) return;
    const [oldest] = this.#plain;
    if (oldest !== undefined) this.#plain.delete(oldest);
  }
}

async function endOf(objects: ObjectReader, oid: string, signal: AbortSignal | undefined): Promise<string> {
  const end = await infoOf(objects, `${oid}^{}`, signal);
  if (end === undefined) throw new OddReferencesError('a tag leads to nothing');
  return end.oid;
}

async function infoOf(objects: ObjectReader, revision: string, signal: AbortSignal | undefined) {
  try {
    return await objects.info(revision, { signal });
  } catch (error) {
    if (signal?.aborted === true) throw error;
    throw new OddReferencesError('an object cannot be read', { cause: error });
  }
}

/** Whether a file of its own holds an object that is no tag. */
async function isPlainLooseObject({ objectDirectory }: GitRepository, oid: string): Promise<boolean> {
  try {
    await using file = await open(`${objectDirectory}/${oid.slice(0, 2)}/${oid.slice(2)}`);
    const { buffer, bytesRead } = await file.read(Buffer.alloc(HEAD_BYTES), 0, HEAD_BYTES, 0);
    const head = inflateSync(buffer.subarray(0, bytesRead), { finishFlush: zlib.Z_SYNC_FLUSH });
    return PLAIN_TYPE.test(head.toString('latin1', 0, 8));
  } catch (error) {
    // Not loose, or nothing that we understand: git is asked.
    if (systemErrorCode(error) !== undefined) return false;
    throw error;
  }
}
