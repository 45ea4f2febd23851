import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemErrorCode, systemErrorText } from '#base/go/system-error';

/** The hooks that an operator may add scripts to. */
export type CustomHookName = 'pre-receive' | 'update' | 'post-receive';

/**
 * Lists the scripts of a hook in the order in which they run:
 *
 * 1. `<repository>/custom_hooks/<hook>`,
 * 2. the files of `<repository>/custom_hooks/<hook>.d`,
 * 3. the files of `<global>/<hook>.d`.
 *
 * Within a directory, the order is that of the bytes of the names.
 *
 * A script counts when it (or the target of a link) is no directory, this process may execute it,
 * and its name does not end in `~`.
 *
 * @param globalDirectory `[hooks] custom_hooks_dir`; empty for none.
 * @throws {Error} `creating custom hooks executor: open <directory>: …` when an existing directory
 * cannot be read.
 */
export async function findCustomHooks(
  repositoryPath: string,
  globalDirectory: string,
  hook: CustomHookName,
): Promise<string[]> {
  return [
    ...(await ownScripts(join(repositoryPath, 'custom_hooks'), hook)),
    ...(globalDirectory === '' ? [] : await scriptsIn(join(globalDirectory, `${hook}.d`))),
  ];
}

async function ownScripts(directory: string, hook: CustomHookName): Promise<string[]> {
  // Most repositories have no hooks.
  if (statSync(directory, { throwIfNoEntry: false }) === undefined) return [];
  const own = join(directory, hook);
  return [...(isScript(own) ? [own] : []), ...(await scriptsIn(`${own}.d`))];
}

/**
 * Reports whether a hook has scripts, or directories that cannot be read, so that it would fail.
 * Takes the parameters of {@link findCustomHooks}.
 */
export function hasCustomHooks(...where: Parameters<typeof findCustomHooks>): Promise<boolean> {
  return findCustomHooks(...where).then(
    (scripts) => scripts.length > 0,
    () => true,
  );
}

async function scriptsIn(directory: string): Promise<string[]> {
  // A check for existence costs less than a failing read.
  if (!existsSync(directory) && !isNoDirectory(dirname(directory))) return [];
  try {
    const names = await readdir(directory, { encoding: 'buffer' });
    return names
      .sort(Buffer.compare)
      .map((name) => join(directory, name.toString()))
      .filter(isScript);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new Error(`creating custom hooks executor: open ${directory}: ${systemErrorText(error)}`, {
      cause: error,
    });
  }
}

/** Reports whether the path exists and is not a directory. */
function isNoDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === false;
}

function isScript(path: string): boolean {
  if (path.endsWith('~')) return false;
  try {
    const stats = statSync(path, { throwIfNoEntry: false });
    if (stats === undefined || stats.isDirectory()) return false;
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false; // a dangling or looping link, or one that this process may not follow
  }
}
