import { Sha1Xor } from '#base/sha1-xor';
import type { OidDigits } from '#git/names/object-id';
import { HEAD, type RefName } from '#git/names/ref-name';
import type { RefCaches } from '#git/refs/resolve/ref-caches';
import { addChecksumLine, isChecksumLine } from '../checksum-lines.ts';
import type { RefSum } from '../ref-storage.ts';
import type { ResolvedRef } from '../resolved-refs.ts';
import { findPackedRef } from './packed-refs.ts';
import type { PackedRefsFile } from './packed-refs-cache.ts';
import { walkLooseRefs } from './walk-loose-refs.ts';

export interface SumOptions {
  readonly caches: Pick<RefCaches, 'packed' | 'sums'>;
  readonly digits: OidDigits;
  readonly follow: (name: RefName) => ResolvedRef | undefined;
}

/** Limit of loose references, beyond which git is faster. */
const MAX_LOOSE = 5_000;
const NAMESPACE = Buffer.from('refs/');

/**
 * Sums up the lines of references in files. The sum of packed-refs is kept as long as the file is
 * unchanged; only loose references are read each time. Objects of packed references need not be
 * looked up.
 *
 * @throws {FallBackToGit} when only git knows the lines.
 */
export async function sumRefFiles(path: string, { caches, digits, follow }: SumOptions): Promise<RefSum> {
  const xor = new Sha1Xor();
  const head = follow(HEAD);
  if (head !== undefined) addChecksumLine(xor, head.oid, HEAD);
  // Loose files come first: git writes packed-refs before it removes the packed files.
  const loose = await walkLooseRefs(path, {
    prefix: NAMESPACE,
    follow,
    skipsBadNames: false,
    maxEntries: MAX_LOOSE,
  });
  using packed = caches.packed.open(path);
  if (packed !== undefined) xor.addSum(await caches.sums.get(path, packed, digits));
  for (const { name, oid } of loose) {
    if (!isChecksumLine(name.toString('latin1'))) continue;
    removePacked(xor, name, packed);
    if (oid !== undefined) addChecksumLine(xor, oid, name);
  }
  return { words: xor.words(), oids: new Set([head, ...loose].flatMap((ref) => ref?.oid ?? [])) };
}

/** Removes the packed reference that a loose one of its name hides. */
function removePacked(xor: Sha1Xor, name: Buffer, packed: PackedRefsFile | undefined): void {
  const oid = packed && findPackedRef(packed.source, name);
  if (oid !== undefined) addChecksumLine(xor, oid, name);
}
