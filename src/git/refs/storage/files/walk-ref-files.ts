import { statSync } from 'node:fs';
import { FallBackToGit } from '#git/command/in-process';
import type { OidDigits } from '#git/names/object-id';
import type { RefName } from '#git/names/ref-name';
import { prefixesOf, selectByName } from '#git/names/ref-patterns';
import type { RefQuery } from '#git/refs/git/for-each-ref';
import type { GitDirectory } from '#git/repository-files/git-directory';
import type { ListedRef } from '../listed-ref.ts';
import type { ResolvedRef } from '../resolved-refs.ts';
import { requireFullyPeeled, requireSorted } from './packed-refs.ts';
import type { PackedRefsCache, PackedRefsFile } from './packed-refs-cache.ts';
import { scanPackedRefs } from './scan-packed-refs.ts';
import { type LooseRef, walkLooseRefs } from './walk-loose-refs.ts';

/** Limit of loose files, beyond which git is faster. */
const MAX_LOOSE = 5_000;

export interface WalkRefsOptions {
  readonly repository: GitDirectory;
  readonly packed: PackedRefsCache;
  /** Number of hex digits of an object id. */
  readonly digits: OidDigits;
  /** Follows a reference in the files. */
  readonly follow: (name: RefName) => ResolvedRef | undefined;
  /**
   * Looks up the final targets of tag objects that the files do not contain. Without it they stay
   * unknown.
   */
  readonly peel?: ((refs: readonly ListedRef[]) => Promise<ListedRef[]>) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Reads the references that match patterns from their files, in the order of names, in batches
 * (some of which may be empty).
 *
 * @throws {FallBackToGit} when the rest of the list has to come from git; the reason of the signal.
 */
export async function* walkRefFiles(
  { repository, packed, digits, follow, peel, signal }: WalkRefsOptions,
  { patterns, exclude = [] }: Pick<RefQuery, 'patterns' | 'exclude'>,
): AsyncGenerator<ListedRef[], void> {
  if (!isDirectory(repository.objectDirectory)) throw new FallBackToGit('there are no objects');
  const bytes = patterns.map((pattern) => Buffer.from(pattern));
  const matching = selectByName(bytes, { signal });
  const withoutExcluded =
    exclude.length === 0 ? undefined : selectByName(exclude, { isExcluding: true, signal });

  const ranges = prefixesOf(bytes);
  // Loose files come first: git writes packed-refs before it removes the packed files.
  const found = await Promise.all(
    ranges.map(({ isPath, prefix }) =>
      walkLooseRefs(repository.path, { prefix, isPath, follow, skipsBadNames: true, maxEntries: MAX_LOOSE }),
    ),
  );
  using file = packed.open(repository.path);
  if (file !== undefined) requireSorted(file.source);
  if (file !== undefined && peel !== undefined) requireFullyPeeled(file.source);
  const loose = await Promise.all(found.map((refs) => toShadows(refs, peel)));
  for (const [index, { prefix, isWhole }] of ranges.entries()) {
    for await (const refs of merged(loose[index] ?? [], file, { prefix, digits })) {
      const wanted = isWhole ? refs : await matching(refs);
      yield withoutExcluded === undefined ? wanted : await withoutExcluded(wanted);
    }
  }
}

/** Replacement of a packed reference of that name: a loose one, or nothing. */
interface Shadow {
  readonly name: Buffer;
  readonly ref: ListedRef | undefined;
}

async function toShadows(loose: readonly LooseRef[], peel: WalkRefsOptions['peel']): Promise<Shadow[]> {
  const refs: ListedRef[] = [];
  for (const { name, oid } of loose)
    if (oid !== undefined) refs.push({ name, oid, peeledOid: undefined, isPeelKnown: false });
  const peeled = (peel === undefined ? refs : await peel(refs)).values();
  return loose.map(({ name, oid }) => ({ name, ref: oid === undefined ? undefined : peeled.next().value }));
}

/**
 * Merges loose and packed references in the order of names; a loose one hides the packed one of its
 * name.
 */
async function* merged(
  loose: readonly Shadow[],
  file: PackedRefsFile | undefined,
  options: { prefix: Buffer; digits: OidDigits },
): AsyncGenerator<ListedRef[], void> {
  let at = 0;
  if (file !== undefined) {
    for await (const refs of scanPackedRefs(file, options)) {
      if (at === loose.length) {
        yield [...refs];
        continue;
      }
      const batch: ListedRef[] = [];
      at = mergeInto(batch, refs, loose, at);
      yield batch;
    }
  }
  yield loose.slice(at).flatMap(({ ref }) => ref ?? []);
}

/**
 * Appends packed references to a batch, with the loose ones from `start` on that belong before or
 * instead of them. Returns the index of the first loose reference that comes later.
 */
function mergeInto(
  batch: ListedRef[],
  packed: Iterable<ListedRef>,
  loose: readonly Shadow[],
  start: number,
): number {
  let at = start;
  for (const ref of packed) {
    let order = -1;
    for (let next = loose[at]; next !== undefined; next = loose[at]) {
      order = Buffer.compare(next.name, ref.name);
      if (order > 0) break;
      if (next.ref !== undefined) batch.push(next.ref);
      at++;
      if (order === 0) break;
    }
    if (order !== 0) batch.push(ref);
  }
  return at;
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
