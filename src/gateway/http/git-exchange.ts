import type { IncomingMessage, ServerResponse } from 'node:http';
import type { GitService } from '#client/git/info-refs';
import type { AccessEntry } from '../access/access-entry.ts';
import type { Identity } from '../identity.ts';
import type { RepositoryInit } from '../repository-mapping.ts';

/** A request of git that was checked and mapped, on its way to Gitaly. */
export interface GitExchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
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
  /** Notes what is transferred, for the access log. */
  readonly access: AccessEntry | undefined;
  /** Address of the client, also behind trusted proxies. */
  readonly remoteAddress: string | undefined;
  /** Aborts when the client disconnects, and when the request takes too long. */
  readonly signal: AbortSignal;
  /**
   * Sends `100 Continue` to a client that waits for it before its body (`Expect: 100-continue`).
   */
  sendContinue(): void;
}
