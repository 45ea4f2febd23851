import { wrap } from '#base/gitaly-error';
import { type Bitmap, readBitmap } from './bitmap.ts';
import { entriesOf, statAll } from './directory-size.ts';
import { type MultiPackIndex, readMultiPackIndex } from './multi-pack-index.ts';

/**
 * Sizes in bytes of only the packs. Kept and cruft packs are included in `count` and `size`; a
 * cruft pack that is kept counts as kept.
 */
export interface Packfiles {
  readonly count: number;
  readonly size: bigint;
  readonly reverseIndexCount: number;
  readonly cruftCount: number;
  readonly cruftSize: bigint;
  readonly keepCount: number;
  readonly keepSize: bigint;
  readonly bitmap: Bitmap | undefined;
  readonly multiPackIndex: MultiPackIndex | undefined;
  readonly multiPackIndexBitmap: Bitmap | undefined;
}

/**
 * Counts the packs of a repository and reads facts about their auxiliary files. @throws {Error} for
 * a malformed header.
 */
export async function countPackfiles(repositoryPath: string): Promise<Packfiles> {
  const directory = `${repositoryPath}/objects/pack`;
  const names = new Set((await entriesOf(directory)).map((entry) => entry.name).sort());
  const sum = { count: 0, size: 0n, cruftCount: 0, cruftSize: 0n, keepCount: 0, keepSize: 0n };

  for await (const { name, stats } of statAll(directory, matching(names, /^pack-.*\.pack$/))) {
    const base = name.slice(0, -'.pack'.length);
    const size = BigInt(stats.size);
    sum.count++;
    sum.size += size;
    if (names.has(`${base}.keep`)) {
      sum.keepCount++;
      sum.keepSize += size;
    } else if (names.has(`${base}.mtimes`)) {
      sum.cruftCount++;
      sum.cruftSize += size;
    }
  }
  return {
    ...sum,
    reverseIndexCount: matching(names, /^pack-.*\.rev$/).length,
    ...(await readIndexes(directory, names)),
  };
}

async function readIndexes(
  directory: string,
  names: ReadonlySet<string>,
): Promise<Pick<Packfiles, 'bitmap' | 'multiPackIndex' | 'multiPackIndexBitmap'>> {
  const bitmap = matching(names, /^pack-.*\.bitmap$/).at(-1);
  const multiPackBitmap = matching(names, /^multi-pack-index-.*\.bitmap$/).at(-1);
  return {
    bitmap: await readIf(bitmap, directory, readBitmap, 'reading bitmap info'),
    multiPackIndex: await readIf(
      names.has('multi-pack-index') ? 'multi-pack-index' : undefined,
      directory,
      readMultiPackIndex,
      'reading multi-pack-index',
    ),
    multiPackIndexBitmap: await readIf(
      multiPackBitmap,
      directory,
      readBitmap,
      'reading multi-pack-index bitmap info',
    ),
  };
}

async function readIf<T>(
  name: string | undefined,
  directory: string,
  read: (file: string) => Promise<T>,
  doing: string,
): Promise<T | undefined> {
  if (name === undefined) return undefined;
  return await read(`${directory}/${name}`).catch((error: unknown) => {
    throw wrap(error, doing);
  });
}

function matching(names: ReadonlySet<string>, pattern: RegExp): string[] {
  return [...names].filter((name) => pattern.test(name));
}
