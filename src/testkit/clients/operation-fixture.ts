import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { commitFiles } from '../repositories/commit-files.ts';
import { gitOutput, initRepository } from '../repositories/init-repository.ts';
import type { TestGitaly } from '../start-gitaly.ts';
import { USER } from '../user.ts';

/** The repository of tests that need only one. */
export const REPOSITORY = {
  storageName: 'default',
  relativePath: 'r.git',
  glRepository: 'project-1',
  glProjectPath: 'group/project',
};
/** A user with a time zone. */
export const USER_IN_TOKYO = { ...USER, timezone: 'Asia/Tokyo' };
export const MAIN = Buffer.from('main');
export const TIMESTAMP = { seconds: 1_700_000_000n };

/** Returns the path of {@link REPOSITORY} on a server. */
export function repositoryPath(gitaly: TestGitaly): string {
  return join(gitaly.storagePath(), REPOSITORY.relativePath);
}

/**
 * Creates {@link REPOSITORY} with one commit on `main`, whose id is `oid`.
 *
 * @param file contents of the only file of the commit; default no file.
 */
export function createSmallRepository(gitaly: TestGitaly, file?: Buffer): { path: string; oid: string } {
  const path = repositoryPath(gitaly);
  initRepository(path, { commits: file === undefined ? 1 : 0 });
  const oid = file === undefined ? gitOutput(path, ['rev-parse', 'main']) : commitFiles(path, { file });
  return { path, oid };
}

/** Creates {@link REPOSITORY} from a stream for `git fast-import`. @returns its path. */
export function createFromStream(
  gitaly: TestGitaly,
  stream: Buffer | string,
  objectFormat: 'sha1' | 'sha256' = 'sha1',
): string {
  const path = repositoryPath(gitaly);
  initRepository(path, { objectFormat });
  gitOutput(path, ['fast-import', '--quiet'], stream);
  return path;
}

/** Writes an executable script for `sh`, such as a custom hook, and makes its directory. */
export function writeScript(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, `#!/bin/sh\n${text}\n`);
  chmodSync(path, 0o755);
}

/** Lists what a failed change may leave: temporary directories of the server, locks, working trees. */
export function changeLeftovers(gitaly: TestGitaly, path: string): string[] {
  const locks = readdirSync(path, { recursive: true, encoding: 'utf8' }).filter((name) =>
    name.endsWith('.lock'),
  );
  const directories = [
    join(gitaly.storagePath(), '+gitaly/tmp'),
    ...['worktrees', 'gitlab-worktree'].map((name) => join(path, name)),
  ];
  return [...directories.filter((each) => existsSync(each)).flatMap((each) => readdirSync(each)), ...locks];
}
