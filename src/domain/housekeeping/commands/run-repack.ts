import { readdir, unlink } from 'node:fs/promises';
import type { GitCommand } from '#git/command/git-command';
import type { RunOptions } from '#git/command/spawn-options';
import type { Repository } from '#storage/repository';

/**
 * Runs `git repack`. If it fails or is aborted, removes the packs that it had not renamed yet: it
 * learns of them from its `pack-objects` only when that ends, so when both are ended, they stay.
 *
 * @throws {GitExitError} and as `Git.run`.
 */
export async function runRepack(
  repository: Repository,
  command: GitCommand,
  options: RunOptions,
): Promise<void> {
  let pid: number | undefined;
  const observer: RunOptions['observer'] = (start) => {
    pid = start.pid;
    return options.observer?.(start);
  };
  try {
    await repository.run(command, { ...options, observer });
  } catch (error) {
    if (pid !== undefined) await removePacksOf(pid, `${repository.path}/objects/pack`);
    throw error;
  }
}

async function removePacksOf(pid: number, directory: string): Promise<void> {
  const names = await readdir(directory).catch(() => []);
  const left = names.filter((name) => name.startsWith(`.tmp-${pid}-`));
  // Files that cannot be removed are removed later for their age, like other stale data.
  await Promise.allSettled(left.map((name) => unlink(`${directory}/${name}`)));
}
