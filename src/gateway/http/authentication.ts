import type { IncomingHttpHeaders } from 'node:http';
import type { Identity } from '../identity.ts';
import type { RepositoryPath } from '../repository-path.ts';
import type { Answer } from './answer.ts';

/** Somebody who may do what they ask for. */
export interface Admission extends Identity {
  /** What hooks and GitLab's internal API call the repository, in place of what the mapping says. */
  readonly glRepository?: string;
}

/** What an authenticator decides on. */
export interface AccessRequest {
  readonly headers: IncomingHttpHeaders;
  /** The client's, also behind trusted proxies. */
  readonly remoteAddress: string | undefined;
  /** How the client speaks, also behind trusted proxies. */
  readonly scheme: 'http' | 'https';
  readonly path: RepositoryPath;
  readonly operation: 'read' | 'write';
}

/**
 * Lets a request in as somebody, or answers it: 401 with `WWW-Authenticate`, 403, or 404 to hide what is there. It is asked for each
 * request, before Gitaly is.
 */
export interface Authenticator {
  /** @throws {Error} when it cannot decide; the client is then answered with a status of 500 or above. */
  authenticate(request: AccessRequest): Promise<Admission | { readonly answer: Answer }>;
}

/** Everybody may do everything, as one user. Only for addresses that nobody else can reach. */
export function noAuthentication(identity: Identity = { glId: 'user-1', username: 'git' }): Authenticator {
  return { authenticate: async () => identity };
}
