import { checkNames } from '#base/check-names';
import type { Connection } from '#client/index';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { Bytes } from '../repositories/import-stream.ts';
import { type RepositoryName, TestRepository } from '../test-repository.ts';

/** A repository to create. */
export interface NewRepository {
  /** Default `repository-1.git`, `repository-2.git` … */
  readonly relativePath?: string;
  /** Default `default`. */
  readonly storageName?: string;
  readonly objectFormat?: 'sha1' | 'sha256';
  /** Number of commits on `main`, each with one new file; default none. */
  readonly commits?: number;
}

const OPTION_NAMES: Readonly<Record<keyof NewRepository, true>> = {
  relativePath: true,
  storageName: true,
  objectFormat: true,
  commits: true,
};

/** The repositories of a test server. */
export interface ServedRepositories {
  /** Creates a repository with the server's CreateRepository, and commits with real git. */
  createRepository(options?: NewRepository): Promise<TestRepository>;
  /** Returns a repository that exists already, to change it with real git. */
  openRepository(repository: RepositoryName): TestRepository;
  /**
   * Runs real git in a repository and returns its output without the last line feed: the expected
   * value of a test. In a cluster it is read on the first node; see {@link TestRepository.paths}.
   *
   * @throws {Error} with git's own message
   */
  askGit(repository: RepositoryName, args: readonly string[], input?: Bytes): Promise<string>;
}

/**
 * Returns functions that create and open repositories on a server.
 *
 * @param pathsOf returns the directories of a repository, one for each replica
 */
export function servedRepositories(
  connection: Connection,
  pathsOf: (repository: RepositoryName) => readonly string[],
): ServedRepositories {
  let created = 0;
  const openRepository = (name: RepositoryName): TestRepository =>
    new TestRepository({ ...name, paths: pathsOf(name) });
  return {
    openRepository,
    async createRepository(options = {}) {
      checkNames('createRepository', options, OPTION_NAMES);
      const { commits = 0, objectFormat = 'sha1', storageName = 'default' } = options;
      const number = ++created;
      const { relativePath = `repository-${number}.git` } = options;
      const repository = openRepository({ storageName, relativePath, glRepository: `project-${number}` });
      await connection.repository.createRepository({
        repository,
        defaultBranch: Buffer.from('main'),
        objectFormat: objectFormat === 'sha1' ? ObjectFormat.SHA1 : ObjectFormat.SHA256,
      });
      await repository.commits(commits);
      return repository;
    },
    askGit: (repository, args, input) => openRepository(repository).git(args, input),
  };
}
