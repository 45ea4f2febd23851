import { opendirSync } from 'node:fs';
import { READ_LIMITS } from './limits.ts';

const NAMES_AT_ONCE = 256;
const INDEX = '.idx';

/**
 * Returns the names of the files in a directory of packs; `undefined` if there are too many.
 *
 * @throws the system's error.
 */
export function packNamesIn(path: string): ReadonlySet<string> | undefined {
  const names = new Set<string>();
  using directory = opendirSync(path, { bufferSize: NAMES_AT_ONCE });
  for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
    if (names.size === READ_LIMITS.packFiles) return undefined;
    names.add(entry.name);
  }
  return names;
}

/** Returns the paths of the packs in a directory, without the ends of their names. */
export function packsAmong(names: ReadonlySet<string>, directory: string): string[] {
  return [...names]
    .filter((name) => name.endsWith(INDEX) && names.has(`${name.slice(0, -INDEX.length)}.pack`))
    .map((name) => `${directory}/${name.slice(0, -INDEX.length)}`);
}
