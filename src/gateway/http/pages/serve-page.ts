import { pipeline } from 'node:stream/promises';
import { GitalyError, messageOf } from '#base/gitaly-error';
import { callMetadata } from '#gateway/call-metadata';
import type { OwnSecret } from '#gateway/people/own-secrets';
import { PeopleFileError } from '#gateway/people/toml-table';
import { checkRepositoryPath, type RepositoryPath } from '#gateway/repository-path';
import type { Answer } from '../answer.ts';
import { SIGN_IN } from '../auth/challenge.ts';
import { type AccessClient, type Authenticator, noAuthentication } from '../authentication.ts';
import { NOT_FOUND } from '../failure.ts';
import type { HttpExchange } from '../http-exchange.ts';
import type { LfsFinder } from '../lfs/lfs-server.ts';
import type {
  ClientCalls,
  PageAccess,
  PageAnswer,
  PageChange,
  PageRequest,
  PageSource,
} from './page-source.ts';

/** A request for a page, on its way to the pages. */
export interface PageExchange extends PageRights, Omit<HttpExchange, 'sendContinue'> {
  readonly body: Uint8Array;
  readonly apiAddress?: string | undefined;
}

/** Serves a page. @throws what the pages throw. */
export async function servePage(exchange: PageExchange, pages: PageSource): Promise<void> {
  const { peer, request, response, signal } = exchange;
  const asked = {
    method: request.method ?? '',
    target: request.url ?? '',
    headers: request.headers,
    body: exchange.body,
    scheme: peer.scheme,
    remoteAddress: peer.address,
    apiAddress: exchange.apiAddress,
  };
  const { body, change, headers, status, stream } = await answerPage(pages, { ...asked, signal }, exchange);
  if (change !== undefined) exchange.access?.changed(change);
  if (stream !== undefined) {
    response.writeHead(status, headers);
    return await pipeline(stream, response);
  }
  const bytes = Buffer.from(body);
  // A response to HEAD may have the length of a stream that is not sent.
  const length = status === 304 ? {} : { 'Content-Length': bytes.length };
  response.writeHead(status, { ...length, ...headers });
  response.end(request.method === 'HEAD' ? undefined : bytes);
}

/** Sources of the rights of a client. */
export interface PageRights {
  /** `undefined` if everybody may read everything. */
  readonly authenticator: Authenticator | undefined;
  /** Finds files of Git LFS; `undefined` if the gateway serves none. */
  readonly lfs?: LfsFinder | undefined;
}

/** Returns a page, with the change that was made on it. @throws what the pages throw. */
export async function answerPage(
  pages: PageSource,
  asked: Omit<PageRequest, 'access'>,
  { authenticator, lfs }: PageRights,
): Promise<PageAnswer> {
  let change: PageChange | undefined;
  const access = pageAccess(authenticator, asked, {
    lfs,
    signal: asked.signal,
    onChange: (made) => {
      change = made;
    },
  });
  const answer = await pages.answer({ ...asked, access });
  return change === undefined ? answer : { ...answer, change };
}

interface AccessParts extends Pick<PageRights, 'lfs'> {
  readonly signal?: AbortSignal;
  readonly onChange?: (change: PageChange) => void;
}

/** Returns the rights of a client. @param authenticator `undefined` if everybody may read everything. */
export function pageAccess(
  authenticator: Authenticator | undefined,
  client: AccessClient,
  { lfs, onChange, signal }: AccessParts = {},
): PageAccess {
  const refusal = async (text: string, operation: 'read' | 'write'): Promise<PageAnswer | undefined> => {
    const path = checkRepositoryPath(text.split('/'));
    if (typeof path !== 'string') return asPage(NOT_FOUND);
    const admission = await authenticator?.authenticate({ ...client, path, operation });
    return admission !== undefined && 'answer' in admission ? asPage(admission.answer) : undefined;
  };
  const isAdministrator = async (path?: RepositoryPath): Promise<boolean> =>
    authenticator === undefined || ((await authenticator.isAdministrator?.(client, path)) ?? false);
  const administrationAt = async (text: string): Promise<ClientCalls | undefined> => {
    const path = checkRepositoryPath(text.split('/'));
    if (typeof path !== 'string' || !(await isAdministrator(path))) return undefined;
    const request = { ...client, path, operation: 'write' } as const;
    const identity = await (authenticator ?? noAuthentication()).authenticate(request);
    if ('answer' in identity) return undefined;
    return { metadata: callMetadata({ identity, remoteAddress: client.remoteAddress }) };
  };
  const lfsFilesAt = async (text: string, oids: readonly string[]): Promise<ReadonlySet<string>> => {
    const path = checkRepositoryPath(text.split('/'));
    if (typeof path !== 'string' || lfs === undefined) return new Set();
    const request = { ...client, path, operation: 'read' } as const;
    const identity = await (authenticator ?? noAuthentication()).authenticate(request);
    if ('answer' in identity) return new Set();
    const { remoteAddress } = client;
    const limit = signal ?? new AbortController().signal;
    return await lfs.present({ path, identity, remoteAddress, signal: limit }, oids);
  };
  const account = authenticator?.account?.bind(authenticator);
  const removeOwn = async (secret: OwnSecret): Promise<boolean> => {
    const user = await account?.(client); // before it is removed
    const isRemoved = (await authenticator?.removeOwn?.(client, secret).catch(unremovable)) ?? false;
    if (isRemoved && user !== undefined) {
      const { credential, name } = user;
      onChange?.({ credential, name, text: `removed ${secret.kind} ${secret.name}` });
    }
    return isRemoved;
  };
  return {
    isOpen: authenticator === undefined,
    hasCredentials: client.headers.authorization !== undefined,
    signIn: asPage(SIGN_IN),
    refusalAt: (path) => refusal(path, 'read'),
    readsWithoutCredentials: async () => await authenticator?.readsWithoutCredentials?.(),
    isAdministrator: () => isAdministrator(),
    mayWriteAt: async (path) => (await refusal(path, 'write')) === undefined,
    administrationAt,
    ...(lfs && { lfsFilesAt }),
    ...(authenticator?.checkSignature && {
      checkSignature: authenticator.checkSignature.bind(authenticator),
    }),
    ...(account && { account: () => account(client), removeOwn }),
  };
}

/** Names the problem of a file of people, which its users may know. @throws always. */
function unremovable(error: unknown): never {
  if (!(error instanceof PeopleFileError)) throw error;
  throw new GitalyError('FAILED_PRECONDITION', messageOf(error), { cause: error });
}

function asPage({ headers, status, text }: Answer): PageAnswer {
  return {
    status,
    headers: { 'Content-Type': 'text/plain; charset=utf-8', ...headers },
    body: `${text}\n`,
  };
}
