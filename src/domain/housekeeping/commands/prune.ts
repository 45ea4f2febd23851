import { wrapped } from '#base/gitaly-error';
import { gitCommand, value } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import type { PrunePlan } from '../plan.ts';
import { gitTime } from './git-time.ts';

/**
 * Deletes unreachable loose objects.
 *
 * @throws {GitalyError} INTERNAL `executing prune: exit status 128`.
 */
export async function pruneObjects(
  repository: Repository,
  { expireBeforeMs }: PrunePlan,
  signal: AbortSignal,
): Promise<void> {
  const command = gitCommand('prune', { options: [value('--expire', gitTime(expireBeforeMs))] });
  await repository.run(command, { signal }).catch(wrapped('executing prune'));
}
