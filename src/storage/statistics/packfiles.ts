import { eachInTurn } from '#base/async/loop-turns';
import { wrapped } from '#base/gitaly-error';
import { type Bitmap, readBitmap } from './bitmap.ts';
import { entriesOf, statAll } from './directory-size.ts';
import { type MultiPackIndexInfo, readMultiPackIndexInfo } from './multi-pack-index.ts';

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
  readonly multiPackIndex: MultiPackIndexInfo | undefined;
  readonly multiPackIndexBitmap: Bitmap | undefined;
}

/**
 * Counts the packs of a repository and reads facts about their auxiliary files. @throws {Error} for
 * a malformed header.
 */
export async function countPackfiles(repositoryPath: string): Promise<Packfiles> {
  const directory = `${repositoryPath}/objects/pack`;
  const names = new Set<string>();
  const packs: string[] = [];
  const bitmaps: string[] = [];
  const multiPackBitmaps: string[] = [];
  let reverseIndexCount = 0;
  await eachInTurn(await entriesOf(directory), ({ name }) => {
    names.add(name);
    if (isNamed(name, 'pack-', '.pack')) packs.push(name);
    else if (isNamed(name, 'pack-', '.rev')) reverseIndexCount++;
    else if (isNamed(name, 'pack-', '.bitmap')) bitmaps.push(name);
    else if (isNamed(name, 'multi-pack-index-', '.bitmap')) multiPackBitmaps.push(name);
  });
  const sum = { count: 0, size: 0n, cruftCount: 0, cruftSize: 0n, keepCount: 0, keepSize: 0n };

  for await (const { name, stats } of statAll(directory, packs)) {
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
    reverseIndexCount,
    bitmap: await readIf(lastOf(bitmaps), directory, readBitmap, 'reading bitmap info'),
    multiPackIndex: await readIf(
      names.has('multi-pack-index') ? 'multi-pack-index' : undefined,
      directory,
      readMultiPackIndexInfo,
      'reading multi-pack-index',
    ),
    multiPackIndexBitmap: await readIf(
      lastOf(multiPackBitmaps),
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
  return await read(`${directory}/${name}`).catch(wrapped(doing));
}

function isNamed(name: string, start: string, end: string): boolean {
  return name.startsWith(start) && name.endsWith(end);
}

/** Returns the name that is last in their order. */
function lastOf(names: readonly string[]): string | undefined {
  return names.reduce<string | undefined>(
    (last, name) => (last === undefined || name > last ? name : last),
    undefined,
  );
}
