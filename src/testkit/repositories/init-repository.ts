import { existsSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import type { ReferenceBackend } from '#git/repository-files/repository-format';
import { outputSync } from '../run-program-sync.ts';
import { needsGit } from './needs-git.ts';
import { GIT_ENVIRONMENT } from './run-git.ts';
import { Template } from './template.ts';

type KnownBackend = Exclude<ReferenceBackend, 'other'>;

export interface InitOptions {
  /** Number of commits on `main`; each is empty and has the message `commit <number>`. */
  readonly commits?: number;
  readonly objectFormat?: 'sha1' | 'sha256';
  /** One of {@link referenceBackends}; default `files`. */
  readonly referenceBackend?: KnownBackend;
}

/**
 * Returns the reference backends of this machine's git, for the head of a file or suite. Code that
 * reads or writes references is tested with each. If git has only one, a skipped test shows the
 * reason.
 */
export function referenceBackends(): readonly KnownBackend[] {
  const skip = needsGit('reftable');
  if (skip === false) return ['files', 'reftable'];
  test('with reftables', { skip });
  return ['files'];
}

/** Repositories that git has made in this process, by the PATH and their options. */
const templates = new Map<string, Template>();

/** Creates a bare repository with git, or a copy of one that was created with the same options. */
export function initRepository(directory: string, options: InitOptions = {}): void {
  if (existsSync(directory) && readdirSync(directory).length > 0) {
    makeRepository(directory, options);
    return;
  }
  const key = JSON.stringify([process.env.PATH, options]);
  const template = templates.get(key) ?? new Template((path) => makeRepository(path, options));
  templates.set(key, template);
  template.copyTo(directory);
}

/**
 * Creates a repository in the storage `default` of a server as {@link initRepository} does, without
 * a call to the server. Returns its directory.
 */
export function initServed(
  server: { storagePath(): string },
  relativePath: string,
  options: InitOptions = {},
): string {
  const directory = path.join(server.storagePath(), relativePath);
  initRepository(directory, options);
  return directory;
}

function makeRepository(directory: string, options: InitOptions): void {
  const { commits = 0, objectFormat = 'sha1', referenceBackend = 'files' } = options;
  const formats = [
    `--object-format=${objectFormat}`,
    ...(referenceBackend === 'files' ? [] : [`--ref-format=${referenceBackend}`]),
  ];
  gitOutput(path.parse(directory).root, [
    'init',
    '-q',
    '--bare',
    '--template=',
    '--initial-branch=main',
    ...formats,
    directory,
  ]);
  for (let number = 1; number <= commits; number++) addCommit(directory, number);
}

/**
 * Adds a commit of the empty tree to `main` of a bare repository, and returns its id. It is the
 * first one of a branch that does not exist yet.
 *
 * @param number part of the message; above 1, the branch must exist.
 */
export function addCommit(directory: string, number = 1): string {
  const tree = gitOutput(directory, ['mktree'], '');
  const isRoot = number === 1 && gitOutput(directory, ['for-each-ref', 'refs/heads/main']) === '';
  const parent = isRoot ? [] : ['-p', 'refs/heads/main'];
  const oid = gitOutput(directory, ['commit-tree', '-m', `commit ${number}`, ...parent, tree]);
  gitOutput(directory, ['update-ref', 'refs/heads/main', oid]);
  return oid;
}

/**
 * Returns git's output without the trailing line feeds. Dates are fixed, so that ids are always the
 * same.
 */
export function gitOutput(directory: string, args: readonly string[], input?: string | Uint8Array): string {
  const dates = { GIT_AUTHOR_DATE: '1600000000 +0000', GIT_COMMITTER_DATE: '1600000000 +0000' };
  const env = { ...GIT_ENVIRONMENT, ...dates };
  return outputSync('git', args, { cwd: directory, env, input }).toString().trimEnd();
}
