import { createHash } from 'node:crypto';
import { copyFile, readdir, readFile, rm } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand, joined, value } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import { parseSettings } from '#git/repository-files/config-file';
import { parseFormat, type StoredBackend } from '#git/repository-files/repository-format';
import { endMigration, REFERENCE_DRAFT } from '#storage/lifecycle/reference-files';
import { syncTree } from '#storage/lifecycle/sync-tree';
import type { Repository } from '#storage/repository';

/** The references of a repository in another format, in a directory of the repository. */
export interface ReferencesDraft {
  /** Absolute path of the draft. Its file `config` is the repository's with the other format. */
  readonly path: string;
  /** Checksum of all references, those outside `refs/` among them; the same in both formats. */
  readonly sum: string;
}

interface DraftConfigOptions {
  readonly target: StoredBackend;
  readonly signal: AbortSignal;
}

const VERSION = 'core.repositoryformatversion';
const STORAGE = 'extensions.refstorage';

/**
 * Lets git write the references of a repository in another format, and compares them. Changes of
 * the repository must be excluded.
 *
 * @throws {GitalyError} INTERNAL `running refs migrate: exit status 255, stderr: "…"`, `reference
 *   hash does not match`.
 */
export async function draftReferences(
  repository: Repository,
  target: StoredBackend,
  signal: AbortSignal,
): Promise<ReferencesDraft> {
  // Of a process that was killed.
  for (const path of await draftsIn(repository)) await endMigration(repository.path, path);
  try {
    const sum = await sumReferences(repository, signal);
    await runMigrate(repository, target, signal);
    const [path] = await draftsIn(repository);
    if (path === undefined) throw new GitalyError('INTERNAL', 'git has written no references');
    await draftConfig(repository, path, { target, signal });
    const written = repository.at(path).withObjectDirectories(repository);
    if ((await sumReferences(written, signal)) !== sum)
      throw new GitalyError('INTERNAL', 'reference hash does not match');
    await syncTree(path);
    return { path, sum };
  } catch (error) {
    for (const path of await draftsIn(repository)) await rm(path, { recursive: true, force: true });
    throw error;
  }
}

async function runMigrate(repository: Repository, target: StoredBackend, signal: AbortSignal): Promise<void> {
  const command = gitCommand('refs', {
    action: 'migrate',
    options: [flag('--dry-run'), joined('--ref-format', target)],
  });
  await repository.run(command, { signal }).catch((error: unknown) => {
    if (!(error instanceof GitExitError) || signal.aborted) throw error;
    const message = `running refs migrate: ${error.message}, stderr: ${quote(error.stderr)}`;
    throw new GitalyError('INTERNAL', message, { cause: error });
  });
}

async function draftsIn({ path }: Repository): Promise<string[]> {
  return (await readdir(path)).filter((name) => REFERENCE_DRAFT.test(name)).map((name) => `${path}/${name}`);
}

async function sumReferences(repository: Repository, signal: AbortSignal): Promise<string> {
  const command = gitCommand('for-each-ref', {
    options: [flag('--include-root-refs'), joined('--format', '%(refname) %(objectname) %(symref)')],
  });
  const hash = createHash('sha256');
  await using process = repository.spawn(command, { signal });
  for await (const chunk of process.stdout) hash.update(chunk);
  await process.succeeded();
  return hash.digest('hex');
}

/** Writes the repository's config file with another format of references into a draft, as git does. */
async function draftConfig(
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
