import type { Connection } from '#client/index';
import { type InitOptions, initServed } from '../repositories/init-repository.ts';
import { startGitaly, type TestGitaly } from '../start-gitaly.ts';

/** A server with the repository `x.git` of its storage `default`. Disposing ends it. */
export interface GitalyWithRepository extends AsyncDisposable {
  readonly gitaly: TestGitaly;
  /** Path of the repository. */
  readonly directory: string;
  /** The calls of RepositoryService. */
  readonly calls: Connection['repository'];
}

/** Starts a server, and creates the repository `x.git` with git. */
export async function startWithRepository(options: InitOptions = {}): Promise<GitalyWithRepository> {
  const gitaly = await startGitaly();
  const directory = initServed(gitaly, 'x.git', options);
  const calls = gitaly.connection.repository;
  return { gitaly, directory, calls, [Symbol.asyncDispose]: () => gitaly[Symbol.asyncDispose]() };
}
