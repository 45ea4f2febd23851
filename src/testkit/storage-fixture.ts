import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Git } from '#git/git';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import { Storages } from '#storage/storages';

/** Two storages, `default` and `second`, in a temporary directory, without a server around them. Dispose it. */
export class StorageFixture implements AsyncDisposable {
  readonly root: string;
  readonly git: Git;
  readonly storages: Storages;
  readonly storage: Storage;

  private constructor(root: string, git: Git, storages: Storages) {
    this.root = root;
    this.git = git;
    this.storages = storages;
    this.storage = storages.storage('default');
  }

  static async create(options: { now?: () => number } = {}): Promise<StorageFixture> {
    const root = realpathSync(mkdtempSync(path.join(tmpdir(), 'gitaly-storage-')));
    const storages = ['default', 'second'].map((name) => ({ name, path: path.join(root, name) }));
    for (const storage of storages) mkdirSync(storage.path);
    const git = await Git.start({ binary: process.env.GITALY_TESTING_GIT_BINARY ?? 'git' });
    return new StorageFixture(root, git, new Storages({ storages, git, ...options }));
  }

  /** Makes a repository with git itself: empty, or with one commit on `main`. Extra arguments go to `git init`. */
  init(relativePath: string, options: { commits?: number; args?: readonly string[] } = {}): Repository {
    const directory = path.join(this.storage.path, relativePath);
    this.runGit(this.root, [
      'init',
      '--quiet',
      '--bare',
      '--template=',
      '--initial-branch=main',
      ...(options.args ?? []),
      directory,
    ]);
    for (let number = 1; number <= (options.commits ?? 0); number++) this.commit(directory, number);
    return this.storages.open({ storageName: 'default', relativePath });
  }

  /** Adds an empty commit to `main` and returns its id. */
  commit(directory: string, number = 1): string {
    const tree = this.runGit(directory, ['mktree'], '');
    const parent = number > 1 ? ['-p', 'refs/heads/main'] : [];
    const oid = this.runGit(directory, ['commit-tree', '-m', `commit ${number}`, ...parent, tree]);
    this.runGit(directory, ['update-ref', 'refs/heads/main', oid]);
    return oid;
  }

  /** What git prints, without the last line feed. */
  runGit(directory: string, args: readonly string[], input?: string): string {
    const person = { NAME: 'Ann Author', EMAIL: 'ann@example.com', DATE: '1600000000 +0000' };
    const identity = Object.entries(person).flatMap(([key, value]) =>
      [`GIT_AUTHOR_${key}`, `GIT_COMMITTER_${key}`].map((name) => [name, value]),
    );
    const env = {
      ...process.env,
      GIT_CONFIG_GLOBAL: '/dev/null',
      GIT_CONFIG_SYSTEM: '/dev/null',
      ...Object.fromEntries(identity),
    };
    return execFileSync('git', args, { cwd: directory, env, input, encoding: 'utf8', stdio: ['pipe', 'pipe', 'pipe'] }).trimEnd();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.git.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}
