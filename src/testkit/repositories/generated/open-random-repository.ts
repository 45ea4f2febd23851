import type { GitRepository } from '#git/repository';
import { until } from '#testkit/until';
import type { GitFixture } from '../git-fixture.ts';
import { createRandomRepository, type RandomRepositoryOptions } from './random-repository.ts';

export interface RandomRepository {
  readonly repository: GitRepository;
  /** Runs git in the repository. */
  readonly ask: (...args: string[]) => string;
}

/**
 * Creates a repository with a random history, and opens it.
 *
 * @param options.hasGraph writes a commit-graph, and waits until it has been read.
 */
export async function openRandomRepository(
  git: GitFixture,
  path: string,
  { hasGraph = false, ...options }: RandomRepositoryOptions & { readonly hasGraph?: boolean },
): Promise<RandomRepository> {
  const ask = createRandomRepository(path, options);
  const repository = git.open(path);
  if (hasGraph) {
    ask('commit-graph', 'write', '--reachable');
    await until(() => repository.commits.graph !== undefined);
  }
  return { repository, ask };
}
