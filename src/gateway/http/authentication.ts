import type { IncomingHttpHeaders } from 'node:http';
import type { Answer } from './answer.ts';
import type { RepositoryPath } from './repository-path.ts';

/** Who a request comes from, as Gitaly's hooks know people. */
export interface Identity {
  /** `user-<number>`; never empty, or pushes are refused. */
  readonly glId: string;
  readonly username: string;
}

/** What an authenticator decides on. */
export interface AccessRequest {
  readonly headers: IncomingHttpHeaders;
  readonly remoteAddress: string | undefined;
  readonly path: RepositoryPath;
  readonly operation: 'read' | 'write';
}

/** Lets a request in as somebody, or answers it (401 with `WWW-Authenticate`, 403, 404). */
export interface Authenticator {
  authenticate(request: AccessRequest): Promise<Identity | { readonly answer: Answer }>;
}

/** Everybody may do everything, as one user. Only for addresses that nobody else can reach. */
export function noAuthentication(identity: Identity = { glId: 'user-1', username: 'git' }): Authenticator {
  return { authenticate: async () => identity };
}
