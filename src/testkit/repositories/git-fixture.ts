import path from 'node:path';
import { Git, type GitOptions } from '#git/command/git';
import { RepositoryCaches, type RepositoryCachesOptions } from '#git/repository-caches';
import { Repository } from '#storage/repository';

/** A git with its caches and without storages, which opens any bare repository. Dispose it. */
export class GitFixture implements AsyncDisposable {
  readonly git: Git;
  readonly caches: RepositoryCaches;

  private constructor(git: Git, options: RepositoryCachesOptions) {
    this.git = git;
    this.caches = new RepositoryCaches(git, options);
  }

  static async start(options: Partial<GitOptions> & RepositoryCachesOptions = {}): Promise<GitFixture> {
    return new GitFixture(await Git.start({ binary: 'git', ...options }), options);
  }

  /** Opens the repository at an absolute path without checking it. */
  open(directory: string): Repository {
    const storage = { name: 'none', path: path.dirname(directory) };
    const location = { storage, path: directory, relativePath: path.basename(directory) };
    const directories = { objectDirectory: `${directory}/objects`, alternateObjectDirectories: [] };
    return new Repository(this.caches, location, directories, { storageName: 'none', relativePath: '' });
  }

  async close(): Promise<void> {
    await this.caches.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}
