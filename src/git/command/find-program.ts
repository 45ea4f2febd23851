import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';
import { quote } from '#base/go/quote';

/** Directories to search without a PATH, as a shell does. */
const DEFAULT_PATH = '/usr/local/bin:/usr/bin:/bin';

/**
 * Returns the absolute path of a program: a path as given, a name as the first executable file of
 * that name on the PATH.
 *
 * @param path the PATH; default: this process's.
 * @throws {Error} when no directory of the PATH has it.
 */
export function findProgram(name: string, path = process.env.PATH ?? DEFAULT_PATH): string {
  if (isAbsolute(name) || name.includes('/')) return resolve(name);
  const found = path.split(delimiter).find((directory) => isExecutable(join(directory, name)));
  if (found === undefined) throw new Error(`git was not found: there is no ${quote(name)} on the PATH`);
  return join(found, name);
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    // Missing or not permitted: the search continues.
    return false;
  }
}
