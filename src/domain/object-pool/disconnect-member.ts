import { stat, symlink } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { withAlternates } from '#git/repository-files/alternates-file';
import { alternateDirectory, readAlternates } from '#storage/alternates';
import { type Vote, type VotePhase, voteHash } from '#storage/lifecycle/voter';
import type { Repository } from '#storage/repository';
import { createTempDirectory } from '#storage/temp-directories';
import type { RecordedRuns } from '../housekeeping/maintenance-runs.ts';
import { adoptObjects } from './adopt-objects.ts';
import { backUpAlternates } from './retire-alternates.ts';

export interface DisconnectOptions {
  readonly maintenance: RecordedRuns;
  readonly vote?: Vote | undefined;
  readonly signal: AbortSignal;
}

/**
 * Makes a member of a pool independent: gives it the pool's objects, checks that it is complete,
 * and removes its alternates. It can read every object at any time; whenever the process dies, it
 * is either still a member or complete. Without alternates nothing happens.
 *
 * @throws {GitalyError} INTERNAL `multiple alternate object directories`, `alternate object entry
 *   is not a directory`, and as {@link requireOwnObjects}; it is a member then.
 */
export async function disconnectMember(
  member: Repository,
  { maintenance, vote, signal }: DisconnectOptions,
): Promise<void> {
  const cast = async (text: string, ...phases: readonly VotePhase[]): Promise<void> => {
    for (const phase of phases) await vote?.(phase, voteHash(Buffer.from(text)));
  };
  const directories = async () => (await readAlternates(member.path))?.objectDirectories ?? [];
  if ((await directories()).length === 0) return await cast('no alternates', 'synchronized');
  // A repack of the member drops what the pool has.
  using _run = await maintenance.takeOver(member, signal);
  // Another call may have made it independent meanwhile.
  const [line, another] = await directories();
  if (line === undefined) return await cast('no alternates', 'synchronized');
  await cast('migrate objects', 'preparing', 'prepared');
  if (another !== undefined) throw new GitalyError('INTERNAL', 'multiple alternate object directories');
  const poolObjects = alternateDirectory(member.path, line);
  if (!(await stat(poolObjects)).isDirectory())
    throw new GitalyError('INTERNAL', 'alternate object entry is not a directory');
  const adopt = async (): Promise<void> => {
    for (const directory of withAlternates([poolObjects]))
      await adoptObjects(directory, `${member.path}/objects`, signal);
  };
  await adopt();
  await cast('migrate objects', 'committed');

  const backup = await backUpAlternates(member);
  await requireOwnObjects(member, signal);
  // Pushes may have used what the pool received since.
  await adopt();
  await cast('disconnect alternate', 'preparing', 'prepared');
  await backup.retire();
  try {
    await adopt();
    await cast('disconnect alternate', 'committed');
  } catch (error) {
    await backup.restore();
    throw error;
  }
}

const SUBDIRECTORIES = [
  'pack',
  ...Array.from({ length: 256 }, (_, number) => number.toString(16).padStart(2, '0')),
];

/**
 * Checks that a repository has all objects that its references need without its alternates, which
 * stay in place meanwhile: git reads the objects through a directory of links, and also ignores the
 * commit-graph, which knows commits that are gone.
 *
 * @throws {GitalyError} INTERNAL `git connectivity error while disconnected: exit status 128`.
 */
async function requireOwnObjects(repository: Repository, signal: AbortSignal): Promise<void> {
  await using view = await createTempDirectory(repository.storage, 'repo');
  for (const name of SUBDIRECTORIES)
    await symlink(`${repository.path}/objects/${name}`, `${view.path}/${name}`);

  const alone = repository.withObjectDirectories({
    objectDirectory: view.path,
    alternateObjectDirectories: [],
  });
  const options = ['--objects', '--all', '--quiet'].map(flag);
  await alone.run(gitCommand('rev-list', { options }), { signal }).catch((error: unknown) => {
    if (!(error instanceof GitExitError)) throw error;
    const message = `git connectivity error while disconnected: ${error.message}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  });
}
