import type { FileHandle } from 'node:fs/promises';
import { FallBackToGit } from '#git/in-process';
import { objectsInPack, PACK_HEADER_BYTES } from '#git/objects/pack-header';

/** A pack that is sent as it is. */
export interface OpenPack {
  readonly file: FileHandle;
  /** Position of its checksum: the end of its objects. */
  readonly end: number;
  /** Number of objects. */
  readonly count: number;
}

/**
 * Reads the description of a pack. The caller closes the file.
 *
 * @throws {FallBackToGit} if it is not a pack of version 2; the system's error.
 */
export async function openPack(file: FileHandle, checksumBytes: number): Promise<OpenPack> {
  const header = Buffer.alloc(PACK_HEADER_BYTES);
  await file.read(header, 0, header.length, 0);
  const end = (await file.stat()).size - checksumBytes;
  const count = objectsInPack(header);
  if (count === undefined || end < header.length) throw new FallBackToGit('a pack is not as git writes it');
  return { file, end, count };
}
