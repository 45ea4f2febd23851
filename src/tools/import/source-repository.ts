import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ignoreMissing } from '#base/files/ignore-missing';
import { versionWith } from '#git/command/capabilities';
import type { Git } from '#git/command/git';
import { flag, gitCommand } from '#git/command/git-command';
import { GitExitError } from '#git/command/process/exit-error';
import type { GitDirectory } from '#git/repository-files/git-directory';
import { RepositoryFormats, readFormat, requireObjectFormat } from '#git/repository-files/repository-format';

/** The data of a local repository that an import needs. */
export interface SourceRepository {
  readonly repository: GitDirectory;
  readonly objectFormat: 'sha1' | 'sha256';
  /**
   * Target of HEAD, existing or not, with one character per byte; `undefined` for a detached HEAD.
   */
  readonly head: string | undefined;
  /**
   * Lines of `<object id> <name>`, sorted, with one character per byte. Symbolic references have
   * the id of their target; broken ones are omitted.
   */
  readonly references: readonly string[];
  /** Names of references that no push can create: of one part, such as `refs/stash`. */
  readonly leftOut: readonly string[];
}

/** git neither pushes nor receives them. */
const OF_ONE_PART = /^[0-9a-f]+ (refs\/[^/]+)$/;
/** Enough for a million references. */
const MAX_REFERENCES_BYTES = 128 << 20;

/**
 * Reads a repository without changing it. @throws {Error} with a message for the user when it is
 * not a complete repository.
 */
export async function readSourceRepository(
  git: Git,
  gitDirectory: string,
  signal: AbortSignal,
): Promise<SourceRepository> {
  const format = readFormat(gitDirectory);
  if (format.referenceBackend === 'reftable' && !git.capabilities.reftable)
    throw new Error(
      `has reftables, which git ${git.version} cannot read: ` +
        `import with git ${versionWith('reftable')} or newer`,
    );
  await refuseGrafts(gitDirectory);
  const repository = repositoryAt(gitDirectory);
  const at = { repository, signal };
  const isShallow = await git.run(
    gitCommand('rev-parse', { options: [flag('--is-shallow-repository')] }),
    at,
  );
  if (isShallow.toString().startsWith('true'))
    throw new Error('is a shallow clone: run "git fetch --unshallow" in it first');
  const list = gitCommand('for-each-ref', { options: [flag('--format=%(objectname) %(refname)')] });
  const listed = (await git.run(list, { ...at, maxOutputBytes: MAX_REFERENCES_BYTES })).toString('latin1');
  const lines = listed.split('\n').filter(Boolean).sort();
  return {
    repository,
    objectFormat: requireObjectFormat(format),
    head: await readHead(git, at),
    references: lines.filter((line) => !OF_ONE_PART.test(line)),
    leftOut: lines.flatMap((line) => OF_ONE_PART.exec(line)?.[1] ?? []),
  };
}

/** @throws {Error} if the file gives commits other parents, which would be sent as they are not. */
async function refuseGrafts(gitDirectory: string): Promise<void> {
  const grafts = (await readFile(join(gitDirectory, 'info/grafts'), 'utf8').catch(ignoreMissing)) ?? '';
  if (!/^[0-9a-f]/m.test(grafts)) return;
  throw new Error(
    'has info/grafts, which changes the parents of commits for git alone: ' +
      'run "git replace --convert-graft-file" in it first',
  );
}

/**
 * Returns the size of a repository's objects in bytes, packed and loose, for a progress bar; 0 if
 * git cannot determine it.
 */
export async function estimateBytes(git: Git, gitDirectory: string, signal: AbortSignal): Promise<number> {
  const count = git.run(gitCommand('count-objects', { options: [flag('-v')] }), {
    repository: repositoryAt(gitDirectory),
    signal,
  });
  const text = (await count.catch(() => '')).toString(); // the import reports the error
  const kibibytes = [...text.matchAll(/^size(?:-pack)?: (\d+)$/gm)].map(([, size]) => Number(size));
  return kibibytes.reduce((sum, size) => sum + size * 1024, 0);
}

function repositoryAt(path: string): GitDirectory {
  return {
    path,
    objectDirectory: join(path, 'objects'),
    alternateObjectDirectories: [],
    knownObjectFormat: new RepositoryFormats().find({ path })?.objectFormat,
  };
}

async function readHead(
  git: Git,
  at: { repository: GitDirectory; signal: AbortSignal },
): Promise<string | undefined> {
  try {
    const read = gitCommand('symbolic-ref', { options: [flag('--quiet')], args: ['HEAD'] });
    return (await git.run(read, { ...at, hooks: 'disabled' })).toString('latin1').trimEnd();
  } catch (error) {
    if (error instanceof GitExitError && error.exitCode === 1) return undefined;
    throw error;
  }
}
