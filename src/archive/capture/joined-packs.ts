import { createHash } from 'node:crypto';
import { objectsInPack, PACK_HEADER_BYTES, packHeader } from '#git/objects/pack-header';

const DIGEST_BYTES = { sha1: 20, sha256: 32 } as const;

export type PackHash = keyof typeof DIGEST_BYTES;

/**
 * Joins packs to one, without git. The entries stay as they are: each base is in the same pack as
 * its delta, and the distances between them stay the same. An object may be in it twice; git
 * refuses that only if a delta names it as its base, which `smallPack` avoids.
 *
 * @throws {Error} if one is no pack.
 */
export function joinPacks(packs: readonly Buffer[], hash: PackHash): Buffer {
  let objects = 0;
  const bodies: Buffer[] = [];
  for (const pack of packs) {
    const count = objectsInPack(pack);
    if (count === undefined) throw new Error('an inline pack has no header');
    objects += count;
    bodies.push(pack.subarray(PACK_HEADER_BYTES, pack.length - DIGEST_BYTES[hash]));
  }
  const content = Buffer.concat([packHeader(objects), ...bodies]);
  return Buffer.concat([content, createHash(hash).update(content).digest()]);
}
