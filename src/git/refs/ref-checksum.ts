import { Sha1Xor } from '#base/sha1-xor';
import { mapAhead } from '#base/streams/map-ahead';
import { FallBackToGit, fallBackOnFailure } from '../in-process.ts';
import { OID_DIGITS } from '../objects/object-id.ts';
import type { ReadableRepository } from '../objects/readable-repository.ts';
import { isChecksumLine } from './checksum-lines.ts';
import { findPackedRef } from './files/packed-refs.ts';
import type { PackedRefsFile } from './files/packed-refs-cache.ts';
import type { RefCaches } from './files/ref-caches.ts';
import type { RefFiles } from './files/ref-files.ts';
import { walkLooseRefs } from './files/walk-loose-refs.ts';
import type { RefReadOptions } from './git-refs.ts';
import { HEAD } from './ref-name.ts';

export interface ChecksumOptions {
  readonly repository: ReadableRepository;
  readonly files: RefFiles;
  readonly caches: RefCaches;
}

/** Limit of loose references, beyond which git is faster. */
const MAX_LOOSE = 5_000;
/** Objects that are looked up at once. */
const LOOK_UP_AHEAD = 256;
const NAMESPACE = Buffer.from('refs/');

/**
 * Returns the exclusive or of the SHA-1 hashes of the lines that `git show-ref --head` prints and
 * that {@link isChecksumLine}, 20 bytes. For use inside an attempt.
 *
 * The sum of packed-refs is kept as long as the file is unchanged; only loose references are read
 * each time, and their objects looked up: git fails at a reference without its object. Objects of
 * packed references are not looked up.
 *
 * @throws {FallBackToGit} when only git knows the lines.
 */
export async function refChecksum(
  { repository, files, caches }: ChecksumOptions,
  { signal }: RefReadOptions,
): Promise<Buffer> {
  files.requirePlain();
  const digits = OID_DIGITS[repository.objectFormat];
  const xor = new Sha1Xor();
  const head = files.follow(HEAD);
  if (head !== undefined) addLine(xor, head.oid, HEAD);
  // Loose files come first: git writes packed-refs before it removes the packed files.
  const loose = await walkLooseRefs(repository.path, {
    prefix: NAMESPACE,
    follow: (name) => files.follow(name),
    skipsBadNames: false,
    maxEntries: MAX_LOOSE,
  });
  using packed = caches.packed.open(repository.path);
  if (packed !== undefined) xor.addSum(await caches.sums.get(repository.path, packed, digits));
  for (const { name, oid } of loose) {
    if (!isChecksumLine(name.toString('latin1'))) continue;
    removePacked(xor, name, packed);
    if (oid !== undefined) addLine(xor, oid, name);
  }
  const oids = [...new Set([head, ...loose].flatMap((ref) => ref?.oid ?? []))];
  for await (const isThere of mapAhead(oids, LOOK_UP_AHEAD, hasObject))
    if (!isThere) throw new FallBackToGit('an object is missing');
  return xor.digest();

  async function hasObject(oid: string): Promise<boolean> {
    return (await repository.objects.info(oid, { signal }).catch(fallBackOnFailure)) !== undefined;
  }
}

function addLine(xor: Sha1Xor, oid: string, name: Buffer): void {
  xor.add(Buffer.concat([Buffer.from(`${oid} `), name]));
}

/** Removes the packed reference that a loose one of its name hides. */
function removePacked(xor: Sha1Xor, name: Buffer, packed: PackedRefsFile | undefined): void {
  const oid = packed && findPackedRef(packed.source, name);
  if (oid !== undefined) addLine(xor, oid, name);
}
