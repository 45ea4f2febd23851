import type { GitService } from '#client/git/info-refs';
import type { Identity } from '../identity.ts';
import type { RepositoryInit } from '../repository-mapping.ts';
import type { HttpExchange } from './http-exchange.ts';

/** A request of git that was checked and mapped, on its way to Gitaly. */
export interface GitExchange extends Omit<HttpExchange, 'peer'> {
  readonly service: GitService;
  readonly repository: RepositoryInit;
  /** The repository that a push creates if it is missing. */
  readonly newRepository: RepositoryInit;
  /**
   * Returns the same request for a repository of another name, if this one is missing and that one
   * exists.
   */
  otherwise(): Promise<GitExchange | undefined>;
  readonly identity: Identity;
  /** Address of the client, also behind trusted proxies. */
  readonly remoteAddress: string | undefined;
}
