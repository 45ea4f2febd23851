import { join } from 'node:path';
import { GitExitError } from '#git/command/exit-error';
import { flag, gitCommand } from '#git/command/git-command';
import type { Git } from '#git/git';
import type { GitRepository } from '#git/repository';

/** A repository on this machine, as far as an import has to know it. */
export interface SourceRepository {
  readonly repository: GitRepository;
  readonly objectFormat: 'sha1' | 'sha256';
  /** What HEAD names, whether it is there or not, each byte a character; `undefined` for a detached HEAD. */
  readonly head: string | undefined;
  /** `<object id> <name>`, sorted, each byte a character. Symbolic references stand for what they lead to, broken ones are left out. */
  readonly references: readonly string[];
}

/** Enough for a million references. */
const MAX_REFERENCES_BYTES = 128 << 20;

/** Reads a repository without changing it. @throws {Error} when it is no whole repository, in words for the user. */
export async function readSourceRepository(git: Git, gitDirectory: string, signal: AbortSignal): Promise<SourceRepository> {
  const repository = repositoryAt(gitDirectory);
  const at = { repository, signal };
  const isShallow = await git.run(gitCommand('rev-parse', { options: [flag('--is-shallow-repository')] }), at);
  if (isShallow.toString().startsWith('true')) throw new Error('is a shallow clone: run "git fetch --unshallow" in it first');
  const list = gitCommand('for-each-ref', { options: [flag('--format=%(objectname) %(refname)')] });
  const listed = (await git.run(list, { ...at, maxOutputBytes: MAX_REFERENCES_BYTES })).toString('latin1');
  return {
    repository,
    objectFormat: git.objectFormat(repository),
    head: await readHead(git, at),
    references: listed.split('\n').filter(Boolean).sort(),
  };
}

/** Bytes that a repository's objects take, packed and loose; 0 when git cannot tell. For a progress bar. */
export async function estimateBytes(git: Git, gitDirectory: string, signal: AbortSignal): Promise<number> {
  const count = git.run(gitCommand('count-objects', { options: [flag('-v')] }), {
    repository: repositoryAt(gitDirectory),
    signal,
  });
  const text = (await count.catch(() => '')).toString(); // the import will say what is wrong
  const kibibytes = [...text.matchAll(/^size(?:-pack)?: (\d+)$/gm)].map(([, size]) => Number(size));
  return kibibytes.reduce((sum, size) => sum + size * 1024, 0);
}

function repositoryAt(path: string): GitRepository {
  return { path, objectDirectory: join(path, 'objects'), alternateObjectDirectories: [] };
}

async function readHead(git: Git, at: { repository: GitRepository; signal: AbortSignal }): Promise<string | undefined> {
  try {
    const read = gitCommand('symbolic-ref', { options: [flag('--quiet')], args: ['HEAD'] });
    return (await git.run(read, { ...at, hooks: 'disabled' })).toString('latin1').trimEnd();
  } catch (error) {
    if (error instanceof GitExitError && error.exitCode === 1) return undefined;
    throw error;
  }
}
