import { callMetadata } from '#gateway/call-metadata';
import { type Identity, mayCreate } from '#gateway/identity';
import { checkRepositoryPath, type RepositoryPath } from '#gateway/repository-path';
import type { AccessClient, Admission, Authenticator } from '../authentication.ts';
import { EventAccess } from '../events/event-access.ts';
import type { RequiredRight } from './operation.ts';
import { Problem, problemOfAnswer } from './problems.ts';

/** The rights of the client of a request, which are those for git. */
export class ApiAccess {
  readonly #authenticator: Authenticator;
  readonly #client: AccessClient;
  /** Remembers rights; only lists need it. */
  #reader: EventAccess | undefined;

  constructor(authenticator: Authenticator, client: AccessClient) {
    this.#authenticator = authenticator;
    this.#client = client;
  }

  /** @throws {Problem} unless the client has the right. */
  async admit(path: RepositoryPath, right: Exclude<RequiredRight, 'none'>): Promise<Admission> {
    const operation = right === 'read' ? 'read' : 'write';
    const admission = await this.#authenticator.authenticate({ ...this.#client, path, operation });
    if ('answer' in admission) throw problemOfAnswer(admission.answer);
    if (right === 'create' && !mayCreate(admission))
      throw new Problem('forbidden', 403, 'You may not create repositories.');
    if (right === 'admin' && (await this.#authenticator.isAdministrator?.(this.#client, path)) !== true)
      throw new Problem('forbidden', 403, 'Only an administrator of the repository may do this.');
    return admission;
  }

  /** Returns the user, as {@link EventAccess.checkCredentials}. @throws {Refusal} for wrong credentials. */
  async checkCredentials(): Promise<Identity | undefined> {
    return await this.#ofLists().checkCredentials();
  }

  /** Reports whether the client may read a repository. @throws {Refusal} for wrong credentials. */
  async mayRead(relativePath: string): Promise<boolean> {
    return await this.#ofLists().mayRead(relativePath);
  }

  #ofLists(): EventAccess {
    const { headers, remoteAddress: address, scheme } = this.#client;
    this.#reader ??= new EventAccess(this.#authenticator, { headers, peer: { address, scheme } });
    return this.#reader;
  }
}

/** Returns the path of a repository. @throws {Problem} */
export function requirePath(text: string): RepositoryPath {
  const path = checkRepositoryPath(text.split('/'));
  if (typeof path === 'string') return path;
  throw new Problem('invalid-request', 400, `repository: ${path.refusal}`, {
    facts: { field: 'repository' },
  });
}

/** Matches a correlation id from a proxy that is safe to log. */
const CORRELATION_ID_FORMAT = /^[\w.-]{1,128}$/;

/** Returns the metadata of the calls of a request. */
export function metadataOf(identity: Identity, { headers, remoteAddress }: AccessClient) {
  const requestId = headers['x-request-id'];
  const correlationId =
    typeof requestId === 'string' && CORRELATION_ID_FORMAT.test(requestId) ? requestId : undefined;
  return callMetadata({ identity, remoteAddress, correlationId });
}
