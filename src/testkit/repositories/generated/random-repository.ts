import { gitOutput, initRepository } from '../init-repository.ts';
import { randomHistory, seededRandom } from '../random-history.ts';

export interface RandomRepositoryOptions {
  /** Number of commits; default 60. */
  readonly count?: number;
  readonly objectFormat?: 'sha1' | 'sha256';
  /** Seed of the history; default 11. */
  readonly seed?: number;
  /** Paths of the files. */
  readonly paths?: readonly string[];
}

/**
 * Creates a repository at a path with {@link randomHistory}, always the same for a seed. Returns a
 * function that runs git in it.
 */
export function createRandomRepository(
  path: string,
  { count = 60, objectFormat = 'sha1', seed = 11, paths }: RandomRepositoryOptions = {},
): (...args: string[]) => string {
  initRepository(path, { objectFormat });
  const stream = randomHistory(seededRandom(seed), count, paths);
  gitOutput(path, ['fast-import', '--quiet', '--date-format=raw', '--done'], stream);
  return (...args) => gitOutput(path, args);
}
