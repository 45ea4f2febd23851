import { createHash } from 'node:crypto';
import { ProtocolError } from '#generations/errors';
import { objectsInPack, PACK_HEADER_BYTES, packHeader } from '#git/objects/pack-header';

const DIGEST_BYTES = { sha1: 20, sha256: 32 } as const;

export type PackHash = keyof typeof DIGEST_BYTES;

/**
 * Joins packs to one, without git. The entries stay as they are: each base is in the same pack as
 * its delta, and the distances between them stay the same. An object may be in it twice; git
 * refuses that only if a delta names it as its base, which `smallPack` avoids.
 *
 * @throws {ProtocolError} `damaged` if one is not exactly one pack: behind another one, git would
 *   ignore it.
 */
export function joinPacks(packs: readonly Buffer[], hash: PackHash): Buffer {
  let objects = 0;
  const bodies: Buffer[] = [];
  for (const pack of packs) {
    const count = objectsInPack(pack);
    const end = pack.length - DIGEST_BYTES[hash];
    if (
      count === undefined ||
      end < PACK_HEADER_BYTES ||
      !digest(pack.subarray(0, end), hash).equals(pack.subarray(end))
    )
      throw new ProtocolError('damaged', 'a pack in the archive is not one pack with its checksum');
    objects += count;
    bodies.push(pack.subarray(PACK_HEADER_BYTES, end));
  }
  const content = Buffer.concat([packHeader(objects), ...bodies]);
  return Buffer.concat([content, digest(content, hash)]);
}

function digest(content: Buffer, hash: PackHash): Buffer {
  return createHash(hash).update(content).digest();
}
