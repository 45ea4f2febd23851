import { pipeline } from 'node:stream/promises';
import { wrap, wrapped } from '#base/gitaly-error';
import type { ConfigPair } from '../command/config.ts';
import { flag, gitCommand } from '../command/git-command.ts';
import type { GitRepository } from '../repository.ts';
import { type Sides, textCommand } from './commands.ts';

export interface PatchIdOptions {
  /** Ignores the lines around a change. */
  readonly contextFree: boolean;
  readonly config?: readonly ConfigPair[];
  readonly signal?: AbortSignal | undefined;
}

/**
 * Returns the output of `git diff | git patch-id --verbatim`: the id of a change and a second word;
 * empty without a difference.
 *
 * @throws {GitalyError} without a code: `spawning diff: …`, `waiting for patch-id: exit status
 *   128`, `waiting for git-diff: exit status 128`.
 */
export async function patchId(
  repository: GitRepository,
  sides: Sides,
  options: PatchIdOptions,
): Promise<string> {
  const { contextFree, config = [], signal } = options;
  await repository.spawnTurn(signal);
  await using diff = spawnDiff();
  // Runs outside the repository, so that ids are always SHA-1, as in Gitaly.
  await using patchIds = repository.git.spawn(gitCommand('patch-id', { options: [flag('--verbatim')] }), {
    signal,
    stdin: 'pipe',
  });
  // A process that ends too early reports the reason by its exit code.
  const piped = pipeline(diff.stdout, patchIds.stdin).catch(() => {});
  const printed = await patchIds.stdout.toArray().catch(() => []);
  await piped;
  await patchIds.succeeded().catch(wrapped('waiting for patch-id', 'UNKNOWN'));
  await diff.succeeded().catch(wrapped('waiting for git-diff', 'UNKNOWN'));
  return Buffer.concat(printed).toString('latin1');

  function spawnDiff() {
    try {
      return repository.spawn(textCommand(sides, contextFree ? { contextLines: 0 } : {}), {
        signal,
        config,
      });
    } catch (error) {
      throw wrap(error, 'spawning diff', 'UNKNOWN');
    }
  }
}
