import { statSync } from 'node:fs';
import type { GitRepository } from '../repository.ts';
import type { RefQuery } from './for-each-ref.ts';
import type { ListedRef } from './listed-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import { isFullyPeeled, isSorted } from './packed-refs.ts';
import type { PackedRefsCache, PackedRefsFile } from './packed-refs-cache.ts';
import { matchAsPath, prefixesOf } from './ref-patterns.ts';
import type { ResolvedRef } from './resolved-refs.ts';
import { scanPackedRefs } from './scan-packed-refs.ts';
import { type LooseRef, walkLooseRefs } from './walk-loose-refs.ts';

/** With more loose files than that, git lists faster. */
const MAX_LOOSE = 5_000;

export interface WalkParts {
  readonly repository: GitRepository;
  readonly packed: PackedRefsCache;
  /** Hex digits of an object id. */
  readonly digits: 40 | 64;
  /** Follows a reference in the files. */
  readonly resolve: (name: Buffer) => ResolvedRef | 'odd' | undefined;
  /** Looks up what tag objects finally point to, where the files do not tell. Without it that stays unknown. */
  readonly peel?: ((refs: readonly ListedRef[]) => Promise<ListedRef[]>) | undefined;
}

/**
 * Reads the references that match patterns from their files, in the order of names, in batches (some of which may be empty).
 *
 * @throws {OddReferencesError} when the rest of the list has to come from git.
 */
export async function* walkRefFiles(
  { repository, packed, digits, resolve, peel }: WalkParts,
  { patterns, exclude = [] }: Pick<RefQuery, 'patterns' | 'exclude'>,
): AsyncGenerator<ListedRef[], void> {
  if (!isDirectory(repository.objectDirectory)) throw new OddReferencesError('there are no objects');
  const bytes = patterns.map((pattern) => Buffer.from(pattern));
  const matches = matchAsPath(bytes);
  const isExcluded = exclude.length === 0 ? undefined : matchAsPath(exclude);

  const ranges = prefixesOf(bytes);
  // Loose files come first: git writes packed-refs before it removes the files that are in it.
  const found = await Promise.all(
    ranges.map(({ prefix }) => walkLooseRefs(repository.path, { prefix, resolve, skipsBadNames: true, maxEntries: MAX_LOOSE })),
  );
  using file = packed.open(repository.path);
  if (file !== undefined && !isSorted(file.source)) throw new OddReferencesError('packed-refs is not sorted');
  if (file !== undefined && peel !== undefined && !isFullyPeeled(file.source))
    throw new OddReferencesError('packed-refs is not peeled');
  const loose = await Promise.all(found.map((refs) => toShadows(refs, peel)));
  for (const [index, { prefix, isWhole }] of ranges.entries()) {
    for await (const refs of merged(loose[index] ?? [], file, { prefix, digits })) {
      const matching = isWhole ? refs : refs.filter(({ name }) => matches(name));
      yield isExcluded === undefined ? matching : matching.filter(({ name }) => !isExcluded(name));
    }
  }
}

/** What stands where a packed reference of that name would: a loose one, or nothing. */
interface Shadow {
  readonly name: Buffer;
  readonly ref: ListedRef | undefined;
}

async function toShadows(loose: readonly LooseRef[], peel: WalkParts['peel']): Promise<Shadow[]> {
  const refs: ListedRef[] = [];
  for (const { name, oid } of loose) if (oid !== undefined) refs.push({ name, oid, peeledOid: undefined, isPeelKnown: false });
  const peeled = (peel === undefined ? refs : await peel(refs)).values();
  return loose.map(({ name, oid }) => ({ name, ref: oid === undefined ? undefined : peeled.next().value }));
}

/** Loose and packed references in the order of names; a loose one hides the packed one of its name. */
async function* merged(
  loose: readonly Shadow[],
  file: PackedRefsFile | undefined,
  options: { prefix: Buffer; digits: 40 | 64 },
): AsyncGenerator<ListedRef[], void> {
  let at = 0;
  if (file !== undefined) {
    for await (const refs of scanPackedRefs(file, options)) {
      if (at === loose.length) {
        yield [...refs];
        continue;
      }
      const batch: ListedRef[] = [];
      for (const ref of refs) {
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
      yield batch;
    }
  }
  yield loose.slice(at).flatMap(({ ref }) => ref ?? []);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
