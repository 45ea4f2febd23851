import type { IncomingHttpHeaders } from 'node:http';
import type { Identity } from '../identity.ts';
import type { OwnSecret } from '../people/own-secrets.ts';
import type { RepositoryPath } from '../repository-path.ts';
import type { Answer } from './answer.ts';
import type { AccountFacts, SignatureCheck, SignedText } from './pages/page-source.ts';

/** An accepted request with its identity. */
export interface Admission extends Identity {
  /**
   * Name of the repository for hooks and GitLab's internal API, instead of the one from the
   * mapping.
   */
  readonly glRepository?: string;
}

/** A refused request with the response. */
export interface RefusedRequest {
  readonly answer: Answer;
  /** The user, if the credentials are right: for the access log. */
  readonly identity?: Identity;
}

/** The client whose request an authenticator checks. */
export interface AccessClient {
  readonly headers: IncomingHttpHeaders;
  /** Address of the client, also behind trusted proxies. */
  readonly remoteAddress: string | undefined;
  /** Scheme used by the client, also behind trusted proxies. */
  readonly scheme: 'http' | 'https';
}

/** The request that an authenticator checks. */
export interface AccessRequest extends AccessClient {
  readonly path: RepositoryPath;
  readonly operation: 'read' | 'write';
}

/**
 * Accepts a request with an identity, or responds to it: 401 with `WWW-Authenticate`, 403, or 404
 * to hide the repository. It is called for each request, before Gitaly.
 */
export interface Authenticator {
  /**
   * Checks a request. @throws {Error} when it cannot decide; the client then receives a status of
   * 500 or above.
   */
  authenticate(request: AccessRequest): Promise<Admission | RefusedRequest>;
  /**
   * Reports whether a client may see and end the calls of all users in the console; with a path,
   * whether it may change the settings of that repository, rename and remove it. Default: none may.
   * @throws {Error} when it cannot decide.
   */
  isAdministrator?(client: AccessClient, path?: RepositoryPath): Promise<boolean>;
  /**
   * Reports whether clients without credentials may read some repository, existing or not. Without
   * this method the console searches for such a repository.
   */
  readsWithoutCredentials?(): Promise<boolean | undefined>;
  /**
   * Returns what a client may know about itself, for the console; `undefined` without right
   * credentials. Without this method the console has no such page.
   */
  account?(client: AccessClient): Promise<AccountFacts | undefined>;
  /**
   * Removes a key or a token of a client; without this method none can be removed.
   *
   * @returns false if the client has none that it may remove.
   * @throws {PeopleFileError} when it cannot be removed; the system's errors.
   */
  removeOwn?(client: AccessClient, secret: OwnSecret): Promise<boolean>;
  /** Finds the person whose SSH key has signed a commit, for the console. Default: it is not known. */
  checkSignature?(signed: SignedText): Promise<SignatureCheck>;
  /** Reads changed files now. Otherwise they are read within a second. */
  reload?(): Promise<void>;
}

/**
 * Returns an authenticator that accepts everybody as one user, with all rights. Use it only for
 * addresses that others cannot reach.
 */
export function noAuthentication(identity: Identity = { glId: 'user-1', username: 'git' }): Authenticator {
  return { authenticate: async () => identity, isAdministrator: async () => true };
}
