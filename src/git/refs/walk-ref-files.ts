import { statSync } from 'node:fs';
import type { GitRepository } from '../repository.ts';
import type { RefQuery } from './for-each-ref.ts';
import type { ListedRef } from './listed-ref.ts';
import { OddReferencesError } from './odd-references.ts';
import { isFullyPeeled, isSorted } from './packed-refs.ts';
import type { PackedRefsCache, PackedRefsFile } from './packed-refs-cache.ts';
import { matchAsPath, prefixesOf } from './ref-patterns.ts';
import { scanPackedRefs } from './scan-packed-refs.ts';
import { walkLooseRefs } from './walk-loose-refs.ts';

export interface WalkParts {
  readonly repository: GitRepository;
  readonly packed: PackedRefsCache;
  /** Hex digits of an object id. */
  readonly digits: 40 | 64;
  /** Follows a reference in the files. */
  readonly resolve: (name: Buffer) => { readonly oid: string } | 'odd' | undefined;
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
  const found = await Promise.all(ranges.map(({ prefix }) => walkLooseRefs(repository.path, { prefix, resolve })));
  using file = packed.open(repository.path);
  if (file !== undefined && !isSorted(file.source)) throw new OddReferencesError('packed-refs is not sorted');
  if (file !== undefined && peel !== undefined && !isFullyPeeled(file.source))
    throw new OddReferencesError('packed-refs is not peeled');
  const loose = peel === undefined ? found : await Promise.all(found.map(peel));
  for (const [index, { prefix, isWhole }] of ranges.entries()) {
    for await (const refs of merged(loose[index] ?? [], file, { prefix, digits })) {
      const matching = isWhole ? refs : refs.filter(({ name }) => matches(name));
      yield isExcluded === undefined ? matching : matching.filter(({ name }) => !isExcluded(name));
    }
  }
}

/** Loose and packed references in the order of names; a loose one hides the packed one of its name. */
async function* merged(
  loose: ListedRef[],
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
          batch.push(next);
          at++;
          if (order === 0) break;
        }
        if (order !== 0) batch.push(ref);
      }
      yield batch;
    }
  }
  yield loose.slice(at);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
}
