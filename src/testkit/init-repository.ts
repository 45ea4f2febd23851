import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { GIT_ENVIRONMENT } from './run-git.ts';

export interface InitOptions {
  /** Commits on `main`; each is empty and named `commit <number>`. */
  readonly commits?: number;
  readonly objectFormat?: 'sha1' | 'sha256';
}

/** Makes a bare repository with git itself. */
export function initRepository(directory: string, { commits = 0, objectFormat = 'sha1' }: InitOptions = {}): void {
  const format = `--object-format=${objectFormat}`;
  gitOutput(path.parse(directory).root, ['init', '-q', '--bare', '--template=', '--initial-branch=main', format, directory]);
  for (let number = 1; number <= commits; number++) addCommit(directory, number);
}

/** Adds a commit of the empty tree to `main` of a bare repository and returns its id. The first one has no parent. */
export function addCommit(directory: string, number = 1): string {
  const tree = gitOutput(directory, ['mktree'], '');
  const parent = number > 1 ? ['-p', 'refs/heads/main'] : [];
  const oid = gitOutput(directory, ['commit-tree', '-m', `commit ${number}`, ...parent, tree]);
  gitOutput(directory, ['update-ref', 'refs/heads/main', oid]);
  return oid;
}

/** What git prints, without the last line feeds. Dates are fixed, so that ids are always the same. */
export function gitOutput(directory: string, args: readonly string[], input?: string | Uint8Array): string {
  const dates = { GIT_AUTHOR_DATE: '1600000000 +0000', GIT_COMMITTER_DATE: '1600000000 +0000' };
  const env = { ...process.env, ...GIT_ENVIRONMENT, ...dates };
  return execFileSync('git', args, { cwd: directory, env, input, encoding: 'utf8', stdio: 'pipe' }).trimEnd();
}
