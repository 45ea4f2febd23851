import { readFile, writeFile } from 'node:fs/promises';
import { flag, gitCommand, value } from '#git/command/git-command';
import type { Vote } from '#storage/lifecycle/voter';
import { replaceLocked } from '#storage/locks/locked-file';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';

/** Key of the path under which GitLab shows a repository. */
const KEY = 'gitlab.fullpath';
const CONFIG_MODE = 0o644;

/** Returns the configured full path. @throws {GitExitError} `exit status 1` when there is none. */
export async function fullPath(repository: Repository, signal: AbortSignal): Promise<Buffer> {
  const output = await repository.run(gitCommand('config', { args: [KEY] }), { signal });
  return output.subarray(0, -1);
}

/**
 * Writes the full path to the config file: git edits a copy while the file is locked.
 *
 * @throws {LockTakenError} when the file is being changed; {GitExitError} when git cannot read it.
 */
export async function setFullPath(
  repository: Repository,
  path: string,
  { vote, signal }: { readonly vote: Vote | undefined; readonly signal: AbortSignal },
): Promise<void> {
  const file = `${repository.path}/config`;
  await using directory = await createTempDirectory(repository.storage, 'config-');
  const copy = `${directory.path}/config`;
  const command = gitCommand('config', {
    options: [value('--file', copy), flag('--replace-all')],
    args: [KEY, path],
  });
  const edited = async (): Promise<Buffer> => {
    await writeFile(copy, await readFile(file));
    await repository.run(command, { signal });
    return await readFile(copy);
  };
  await replaceLocked(file, edited, { mode: CONFIG_MODE, vote });
}
