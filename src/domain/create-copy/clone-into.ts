import { readFile, writeFile } from 'node:fs/promises';
import type { ConfigPair } from '#git/command/config';
import { flag, type GitOption, gitCommand, value } from '#git/command/git-command';
import type { Repository } from '#storage/repository';
import { type RecordedResult, runRecorded } from '../transactions/run-recorded.ts';

export interface CloneOptions {
  readonly options: readonly GitOption[];
  readonly config?: readonly ConfigPair[];
  readonly env?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * Clones into the directory of a repository that is being created; the directory must not exist.
 * References are not voted on one by one: the cluster votes on the whole repository.
 *
 * @param source a URL or path that git may follow.
 * @throws {GitalyError} for a source that looks like an option.
 */
export async function cloneInto(
  draft: Repository,
  source: string,
  { options, ...run }: CloneOptions,
): Promise<RecordedResult> {
  const command = gitCommand('clone', {
    options: [flag('--quiet'), ...options],
    args: [source, draft.path],
  });
  return await runRecorded(draft.git, command, run);
}

/** The section as `git clone` writes it; line feeds in values are escaped. */
const ORIGIN = /^\[remote "origin"\]\n(?:\t.*\n)*/gm;

/**
 * Removes the remote that `git clone` has configured: its URL may be secret or temporary. Its
 * references stay, unlike with `git remote remove`.
 */
export async function removeOrigin(draft: Repository, signal: AbortSignal): Promise<void> {
  const file = `${draft.path}/config`;
  const before = await readFile(file, 'latin1');
  const after = before.replaceAll(ORIGIN, '');
  // git handles files of another form.
  if (after !== before && !after.includes('origin')) {
    await writeFile(file, after, 'latin1');
    return;
  }
  const command = gitCommand('config', { options: [value('--remove-section', 'remote.origin')] });
  await draft.run(command, { signal });
}
