import { flag, gitCommand } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { runRepack } from '../housekeeping/commands/run-repack.ts';

/**
 * Copies the objects that a member borrows into a separate pack. It stays a member. Clients of
 * 15.0 only.
 *
 * @throws {GitExitError}
 */
export async function reduplicate(member: Repository, signal: AbortSignal): Promise<void> {
  const options = ['--quiet', '-a', '-n'].map(flag);
  await runRepack(member, gitCommand('repack', { options }), { signal });
}
