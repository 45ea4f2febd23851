import { createHash } from 'node:crypto';
import { readdir, rm } from 'node:fs/promises';
import { GitalyError } from '#base/gitaly-error';
import { quote } from '#base/go/quote';
import { flag, gitCommand, joined } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { StoredBackend } from '#git/repository-files/repository-format';
import { endMigration, REFERENCE_DRAFT } from '#storage/lifecycle/reference-files';
import { syncTree } from '#storage/lifecycle/sync-tree';
import type { Repository } from '#storage/repository';
import { draftConfig } from './draft-config.ts';

/** The references of a repository in another format, in a directory of the repository. */
export interface ReferencesDraft {
  /** Absolute path of the draft. Its file `config` is the repository's with the other format. */
  readonly path: string;
  /** Checksum of all references, those outside `refs/` among them; the same in both formats. */
  readonly sum: string;
}

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
