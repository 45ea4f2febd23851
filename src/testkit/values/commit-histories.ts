import { join } from 'node:path';
import type { GitCommit } from '#wire/gen/shared_pb';
import {
  createRandomRepository,
  type RandomRepositoryOptions,
} from '../repositories/generated/random-repository.ts';
import type { TestGitaly } from '../start-gitaly.ts';

/** Returns the ids of the commits in the messages of a stream, in their order. */
export async function idsOf(messages: AsyncIterable<{ commits: readonly GitCommit[] }>): Promise<string[]> {
  return (await Array.fromAsync(messages)).flatMap(({ commits }) => commits.map(({ id }) => id));
}

/** Creates a random history in `x.git`, and a function that runs git in it. */
export const withHistory = (gitaly: TestGitaly, options: RandomRepositoryOptions = {}) =>
  createRandomRepository(join(gitaly.storagePath(), 'x.git'), options);
