import { copyFile, readFile } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { flag, gitCommand, value } from '#git/command/git-command';
import { parseSettings } from '#git/repository-files/config-file';
import type { StoredBackend } from '#git/repository-files/repository-format';
import { parseFormat } from '#git/repository-files/repository-format';
import type { Repository } from '#storage/repository';

export interface DraftConfigOptions {
  readonly target: StoredBackend;
  readonly signal: AbortSignal;
}

const VERSION = 'core.repositoryformatversion';
const STORAGE = 'extensions.refstorage';

/** Writes the repository's config file with another format of references into a draft, as git does. */
export async function draftConfig(
  repository: Repository,
  draft: string,
  { target, signal }: DraftConfigOptions,
): Promise<void> {
  const file = `${draft}/config`;
  await copyFile(`${repository.path}/config`, file);
  const edit = async (word: string, ...args: readonly string[]): Promise<void> => {
    const options = [value('--file', file), flag(word)];
    await repository.run(gitCommand('config', { options, args }), { signal });
  };
  if (target === 'reftable') await edit('--replace-all', STORAGE, target);
  else await edit('--unset-all', STORAGE);
  await edit('--replace-all', VERSION, hasExtensions(await readFile(file, 'latin1')) ? '1' : '0');
  const format = parseFormat(await readFile(file, 'latin1'), false);
  if (format.referenceBackend !== target || format.objectFormatName !== repository.format.objectFormatName)
    throw new GitalyError('INTERNAL', 'the config file is an unusual one');
}

/** With extensions, git requires version 1; without, any git supports version 0. */
function hasExtensions(text: string): boolean {
  const settings = parseSettings(text);
  return settings === undefined || settings.some(({ key }) => key.startsWith('extensions.'));
}
