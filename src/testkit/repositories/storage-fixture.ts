import { mkdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { Git } from '#git/command/git';
import { RepositoryCaches } from '#git/repository-caches';
import type { Repository } from '#storage/repository';
import type { Storage } from '#storage/repository-target';
import { Storages } from '#storage/storages';
import { makeScratchDirectory } from '../scratch-directory.ts';
import { addCommit, gitOutput, type InitOptions, initRepository } from './init-repository.ts';

/**
 * Two storages, `default` and `second`, in a temporary directory, without a server. Dispose it.
 */
export class StorageFixture implements AsyncDisposable {
  readonly root: string;
  readonly git: Git;
  readonly caches: RepositoryCaches;
  readonly storages: Storages;
  readonly storage: Storage;

  private constructor(root: string, storages: Storages) {
    this.root = root;
    this.git = storages.git;
    this.caches = storages.caches;
    this.storages = storages;
    this.storage = storages.storage('default');
  }

  /** Creates the fixture. @param options `binary` is the git to use; default the machine's. */
  static async create({
    binary,
    ...options
  }: {
    now?: () => number;
    binary?: string;
  } = {}): Promise<StorageFixture> {
    const root = makeScratchDirectory('storage');
    const storages = ['default', 'second'].map((name) => ({ name, path: path.join(root, name) }));
    for (const storage of storages) mkdirSync(storage.path);
    const git = await Git.start({ binary: binary ?? process.env.GITALY_TESTING_GIT_BINARY ?? 'git' });
    return new StorageFixture(
      root,
      new Storages({ storages, caches: new RepositoryCaches(git), ...options }),
    );
  }

  /**
   * Creates a repository in the storage `default` as {@link initRepository} does, and opens it.
   */
  init(relativePath: string, options: InitOptions = {}): Repository {
    initRepository(path.join(this.storage.path, relativePath), options);
    return this.storages.open({ storageName: 'default', relativePath });
  }

  /** {@link addCommit} */
  commit(directory: string, number?: number): string {
    return addCommit(directory, number);
  }

  /** {@link gitOutput} */
  runGit(directory: string, args: readonly string[], input?: string): string {
    return gitOutput(directory, args, input);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.caches.close();
    rmSync(this.root, { recursive: true, force: true });
  }
}
