import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
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
  hash.update(await named('vote on git config: get git config', repository.run(config, { signal })));
  // `--include-root-refs` was added in the same release, 2.45
  const rootReferences = repository.git.capabilities.reftable;
  const command = gitCommand('for-each-ref', {
    options: [value('--format', LINE_FORMAT), ...(rootReferences ? [flag('--include-root-refs')] : [])],
  });
  const listing = repository.run(command, { signal });
  const lines = await named('vote on references: running for-each-ref', listing);
  if (!rootReferences) hash.update(await headLine(repository, signal));
  return hash.update(lines).digest();
}

/** @throws {GitalyError} INTERNAL with Gitaly's text for a git that fails. */
async function named<T>(step: string, output: Promise<T>): Promise<T> {
  try {
    return await output;
  } catch (error) {
    if (!(error instanceof GitExitError)) throw error;
    const message = `${step}: ${error.message}, stderr: ${quote(error.stderr)}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  }
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
