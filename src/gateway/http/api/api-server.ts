import type { IncomingMessage } from 'node:http';
import { codeOf } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import { Repository } from '#client/repository/index';
import type { AccessEntry } from '#gateway/access/access-entry';
import type { Identity } from '#gateway/identity';
import type { RepositoryInit } from '#gateway/repository-mapping';
import type { RepositoryNames } from '#gateway/repository-names';
import type { RepositoryPath } from '#gateway/repository-path';
import type { Authenticator } from '../authentication.ts';
import { type BodyLimits, RequestBody } from '../request-body.ts';
import { ApiAccess, metadataOf, requirePath } from './api-access.ts';
import type { ApiExchange } from './api-exchange.ts';
import { API_PATH } from './api-path.ts';
import { type FoundOperation, OperationFinder } from './find-operation.ts';
import { openApiDocument } from './openapi.ts';
import type { Operation } from './operation.ts';
import { OPERATIONS } from './operations/table.ts';
import { Problem, problemOf } from './problems.ts';
import { AddressReader, Checker, parseJson, queryParts, wholeBody } from './read-request.ts';
import { RepositoryList } from './repository-list.ts';
import { sendJson, sendProblem, sendReply } from './send-answer.ts';

/** Options of the API of a gateway. */
export interface ApiOptions {
  /** Name of the storage with the repositories; their paths must be those in the storage. */
  readonly storage: string;
}

export interface ApiServerOptions extends ApiOptions {
  readonly connection: Connection;
  readonly names: RepositoryNames;
  readonly authenticator: Authenticator;
  /** Limits of bodies that are files. */
  readonly fileLimits: BodyLimits;
}

/** A row with its compiled checks. */
interface Ready extends Operation {
  readonly readParameters: AddressReader;
  readonly readQuery: AddressReader;
  readonly checkBody: Checker | undefined;
}

const MAX_JSON_BYTES = 4 << 20;
/** Time limit of the calls of an answer that is no stream. */
const CALL_TIMEOUT_MS = 120_000;
const JSON_TYPE = /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i;
/** Types that a page of another site may send without asking the server first. @see Fetch, 'CORS-safelisted' */
const FORM_TYPE = /^(?:$|text\/plain|application\/x-www-form-urlencoded|multipart\/form-data)/i;
const DOCUMENT = '/openapi.json';

/** Serves the operations of the table. */
export class ApiServer {
  readonly #options: ApiServerOptions;
  readonly #operations = OPERATIONS.map(ready);
  readonly #list: RepositoryList;
  readonly #finder = new OperationFinder(this.#operations);

  constructor(options: ApiServerOptions) {
    this.#options = options;
    this.#list = new RepositoryList(options.connection, options.storage);
  }

  /** Serves a request. A failure becomes a problem document. @returns an error of the server. */
  async serve(exchange: ApiExchange): Promise<unknown> {
    try {
      await this.#serve(exchange);
      return undefined;
    } catch (error) {
      const { access, request, response, signal } = exchange;
      if (response.destroyed || response.headersSent) {
        access?.ended('aborted');
        response.destroy();
        return undefined;
      }
      const problem = problemOf(signal.aborted ? signal.reason : error);
      access?.ended(problem.status < 500 ? 'refused' : 'failed', problem.message);
      await sendProblem(request, response, problem);
      return problem.status >= 500 ? error : undefined;
    }
  }

  async #serve(exchange: ApiExchange): Promise<void> {
    const { access, peer, request, response, signal } = exchange;
    const [path = '', ...queries] = (request.url ?? '').slice(API_PATH.length).split('?');
    requireOwnSite(request);
    if (path === DOCUMENT) return await sendJson(request, response, { value: openApiDocument() });
    const found = this.#finder.find(request.method ?? '', path);
    const { operation } = found;
    const client = { headers: request.headers, remoteAddress: peer.address, scheme: peer.scheme };
    const rights = new ApiAccess(this.#options.authenticator, client);
    const at = found.parts.find(([name]) => name === 'repository');
    const repositoryPath = at && requirePath(at[1].toString());
    if (access !== undefined && repositoryPath !== undefined) access.repository = repositoryPath;
    const identity = await admit(rights, operation, repositoryPath, access);
    const parts = found.parts.filter(([name]) => name !== 'repository');
    const parameters = operation.readParameters.read(parts);
    const query = operation.readQuery.read(queryParts(queries.join('?')));
    const { body, content } = await this.#bodyOf(exchange, found);
    const options = { signal, timeoutMs: CALL_TIMEOUT_MS, metadata: metadataOf(identity, client) };
    const { connection, names, storage } = this.#options;
    const repositoryAt = (where: RepositoryInit) => repositoryOf(connection, where, identity);
    const others = {
      mayRead: (relativePath: string) => rights.mayRead(relativePath),
      paths: (limits: CallOptions) => this.#list.paths(limits),
      toCreate: async (text: string) => {
        const toPath = requirePath(text);
        const creator = await rights.admit(toPath, 'create');
        const { repository } = repositoryOf(connection, this.#mapped(toPath), creator);
        const metadata = metadataOf(creator, client);
        return { path: toPath, repository, options: { ...options, metadata } };
      },
    };
    const call = {
      ...{ parameters, query, body, content, headers: request.headers, connection, storage, others, options },
      path: repositoryPath ?? NO_PATH,
    };
    const init = repositoryPath === undefined ? { storageName: storage } : this.#mapped(repositoryPath);
    const run = async (where: RepositoryInit): Promise<void> => {
      const reply = await operation.serve({ ...call, ...repositoryAt(where) });
      await sendReply(exchange, call.query, reply);
    };
    try {
      await run(init);
    } catch (error) {
      if (response.headersSent || repositoryPath === undefined || codeOf(error) !== 'NOT_FOUND') throw error;
      const other = await names.otherAt(repositoryPath, init, options);
      if (other === undefined) throw error;
      await run(other);
    }
  }

  #mapped(path: RepositoryPath): RepositoryInit {
    const mapped = this.#options.names.at(path);
    if (mapped === undefined) throw new Problem('not-found', 404, 'There is no such repository.');
    return mapped;
  }

  /** Reads the body that the operation wants. @throws {Problem} {Refusal} */
  async #bodyOf(
    { access, request, sendContinue }: ApiExchange,
    { operation: { body, checkBody, method } }: FoundOperation<Ready>,
  ): Promise<{ readonly body: unknown; readonly content: AsyncIterable<Uint8Array> }> {
    const { fileLimits } = this.#options;
    const type = request.headers['content-type'] ?? '';
    const onChunk = (chunk: Uint8Array): void => access?.input(chunk);
    if (body === undefined) {
      if (method !== 'GET' && FORM_TYPE.test(type) && type !== '')
        throw new Problem('unsupported-type', 415, 'The request must have no body.');
      return { body: undefined, content: NOTHING };
    }
    if (body === 'bytes') {
      if (FORM_TYPE.test(type))
        throw new Problem('unsupported-type', 415, 'The content type must be application/octet-stream.');
      sendContinue();
      return { body: undefined, content: RequestBody.of(request, fileLimits, onChunk) };
    }
    if (!JSON_TYPE.test(type))
      throw new Problem('unsupported-type', 415, 'The content type must be application/json.');
    sendContinue();
    const limits = { ...fileLimits, maxBytes: MAX_JSON_BYTES };
    const value = parseJson(await wholeBody(RequestBody.of(request, limits, onChunk)));
    checkBody?.check(value);
    return { body: value, content: NOTHING };
  }
}

const NO_PATH = '' as RepositoryPath; // of operations without a repository, which do not read it
const NOTHING: AsyncIterable<Uint8Array> = { async *[Symbol.asyncIterator]() {} };

function ready(operation: Operation): Ready {
  const { body, parameters, query } = operation;
  return {
    ...operation,
    readParameters: new AddressReader(parameters, ''),
    readQuery: new AddressReader(query, 'query'),
    checkBody: body === undefined || body === 'bytes' ? undefined : new Checker(body, 'body'),
  };
}

/** Checks the rights of an operation. @throws {Problem} {Refusal} */
async function admit(
  rights: ApiAccess,
  { right }: Operation,
  path: RepositoryPath | undefined,
  access: AccessEntry | undefined,
): Promise<Identity> {
  if (right === 'none' || path === undefined) {
    await rights.checkCredentials();
    return NOBODY;
  }
  const { glRepository: _, ...identity } = await rights.admit(path, right);
  if (access !== undefined) access.identity = identity;
  return identity;
}

/** Lists are made for the server, and then limited to what their reader may see. */
const NOBODY: Identity = { glId: 'user-0', username: '' };

/** Returns a repository for a user, in both forms. */
function repositoryOf(connection: Connection, init: RepositoryInit, identity: Identity) {
  const { glRepository = '', relativePath = '', storageName = '' } = init;
  const { glId: id, username } = identity;
  const email = `${username}@localhost`;
  const user = { name: username, email, id, username };
  const repository = new Repository(connection, {
    path: relativePath,
    storage: storageName,
    glRepository,
    user,
  });
  const message = { name: Buffer.from(username), email: Buffer.from(email), glId: id, glUsername: username };
  return { repository, place: { connection, repository: repository.message, user: message } };
}

/** @throws {Problem} for a change that the page of another site sends with this site's credentials. */
function requireOwnSite({ headers, method }: IncomingMessage): void {
  const site = headers['sec-fetch-site'];
  if (method === 'GET' || method === 'HEAD' || site === undefined) return;
  if (site !== 'same-origin' && site !== 'none')
    throw new Problem('forbidden', 403, 'Another site has sent this request, so nothing was changed.');
}
