import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GitExitError } from '#git/command/exit-error';
import { flag, gitCommand, value } from '#git/command/git-command';
import type { Repository } from '../repository.ts';

const LINE_FORMAT = '%(refname) %(objectname) %(symref)';

/**
 * Returns the value that the nodes of a cluster compare when they create the same repository: SHA-1
 * over what git reads in its `config` file and one line for each reference, including HEAD if it
 * leads to an object. The layout of the file does not count: git versions write it differently.
 */
export async function repositoryVote(repository: Repository, signal?: AbortSignal): Promise<Uint8Array> {
  const hash = createHash('sha1');
  const config = gitCommand('config', {
    options: [value('--file', `${repository.path}/config`), flag('--list')],
  });
  hash.update(await repository.run(config, { signal }));
  // `--include-root-refs` was added in the same release, 2.45
  const rootReferences = repository.git.capabilities.reftable;
  if (!rootReferences) hash.update(await headLine(repository, signal));
  const command = gitCommand('for-each-ref', {
    options: [value('--format', LINE_FORMAT), ...(rootReferences ? [flag('--include-root-refs')] : [])],
  });
  hash.update(await repository.run(command, { signal }));
  return hash.digest();
}

/**
 * Returns the line of HEAD for a git that does not list it. In such a git HEAD is always a file.
 */
async function headLine(repository: Repository, signal: AbortSignal | undefined): Promise<string> {
  const head = await readFile(`${repository.path}/HEAD`, 'latin1');
  const target = /^ref: (.*)\n/.exec(head)?.[1] ?? '';
  try {
    const command = gitCommand('rev-parse', {
      options: [flag('--verify'), flag('--quiet')],
      revisions: ['HEAD'],
    });
    const oid = (await repository.run(command, { signal })).toString('latin1').trim();
    return `HEAD ${oid} ${target}\n`;
  } catch (error) {
    if (error instanceof GitExitError && error.exitCode === 1) return '';
    throw error;
  }
}
