import { accessSync, constants, existsSync, statSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { systemErrorCode, systemErrorText } from '#base/system-error';

/** The hooks that an operator may add scripts to. */
export type CustomHookName = 'pre-receive' | 'update' | 'post-receive';

/**
 * The scripts of a hook in the order in which they run: `<repository>/custom_hooks/<hook>`, those in
 * `<repository>/custom_hooks/<hook>.d`, those in `<global>/<hook>.d`; in a directory by the bytes of their names.
 *
 * A script counts when it (or what a link leads to) is no directory, we may execute it, and its name does not end in `~`.
 *
 * @param globalDirectory `[hooks] custom_hooks_dir`; empty for none.
 * @throws {Error} `creating custom hooks executor: open <directory>: …` when something is there that cannot be read.
 */
export async function findCustomHooks(repositoryPath: string, globalDirectory: string, hook: CustomHookName): Promise<string[]> {
  const own = join(repositoryPath, 'custom_hooks', hook);
  return [
    ...(isScript(own) ? [own] : []),
    ...(await scriptsIn(`${own}.d`)),
    ...(globalDirectory === '' ? [] : await scriptsIn(join(globalDirectory, `${hook}.d`))),
  ];
}

/** Whether running the scripts of a hook would do something, be it to fail because they cannot be found. Takes what {@link findCustomHooks} takes. */
export async function hasCustomHooks(...where: Parameters<typeof findCustomHooks>): Promise<boolean> {
  return await findCustomHooks(...where).then(
    (scripts) => scripts.length > 0,
    () => true,
  );
}

async function scriptsIn(directory: string): Promise<string[]> {
  // To look costs less than to fail, and most have none.
  if (!existsSync(directory) && !isNoDirectory(dirname(directory))) return [];
  try {
    const names = await readdir(directory, { encoding: 'buffer' });
    return names
      .sort(Buffer.compare)
      .map((name) => join(directory, name.toString()))
      .filter(isScript);
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return [];
    throw new Error(`creating custom hooks executor: open ${directory}: ${systemErrorText(error)}`, { cause: error });
  }
}

/** Whether something else is there. */
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
    return false; // a dangling or looping link, or not ours to execute
  }
}
