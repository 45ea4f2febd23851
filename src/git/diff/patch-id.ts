import { pipeline } from 'node:stream/promises';
import { wrap } from '#base/gitaly-error';
import type { ConfigPair } from '../command/config.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import type { Git } from '../git.ts';
import type { GitRepository } from '../repository.ts';
import { type Sides, textCommand } from './commands.ts';

export interface PatchIdOptions {
  /** The lines around a change do not count. */
  readonly contextFree: boolean;
  readonly config?: readonly ConfigPair[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * What `git diff | git patch-id --verbatim` prints: the id of a change and a second word; empty when there is no difference.
 *
 * @throws {GitalyError} without a code of its own: `spawning diff: …`, `waiting for patch-id: exit status 128`, `waiting for git-diff: exit status 128`.
 */
export async function patchId(git: Git, repository: GitRepository, sides: Sides, options: PatchIdOptions): Promise<string> {
  const { contextFree, config = [], signal } = options;
  await git.spawnTurn(signal);
  await using diff = spawnDiff();
  await using patchIds = git.spawn(gitCommand('patch-id', { options: [flag('--verbatim')] }), { signal, stdin: 'pipe' });
  // Whoever ends too early says so by its exit code.
  const piped = pipeline(diff.stdout, patchIds.stdin).catch(() => {});
  const printed = await patchIds.stdout.toArray().catch(() => []);
  await piped;
  await patchIds.succeeded().catch((error: unknown) => {
    throw wrap(error, 'waiting for patch-id', 'UNKNOWN');
  });
  await diff.succeeded().catch((error: unknown) => {
    throw wrap(error, 'waiting for git-diff', 'UNKNOWN');
  });
  return Buffer.concat(printed).toString('latin1');

  function spawnDiff() {
    try {
      return git.spawn(textCommand(sides, contextFree ? { contextLines: 0 } : {}), { repository, signal, config });
    } catch (error) {
      throw wrap(error, 'spawning diff', 'UNKNOWN');
    }
  }
}
