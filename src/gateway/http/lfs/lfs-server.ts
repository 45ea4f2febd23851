import type { IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { codeOf, messageOf } from '#base/gitaly-error';
import { Limit } from '#base/limits/limit';
import type { Secret } from '#base/secret';
import { mapAhead } from '#base/streams/map-ahead';
import { CallError } from '#client/call/call-error';
import { type Identity, mayCreate } from '#gateway/identity';
import { grantOfLfsToken, LFS_TOKEN_SECONDS, type LfsGrant } from '#gateway/lfs-token';
import { parseRepositoryPath, type RepositoryPath } from '#gateway/repository-path';
import { type LfsIds, LfsObjects } from '#object-store/lfs-objects';
import type { ObjectStore } from '#object-store/object-store';
import { type Answer, sendAnswer } from '../answer.ts';
import type { Authenticator } from '../authentication.ts';
import type { HttpExchange } from '../http-exchange.ts';
import { HttpRefusal } from '../refusal.ts';
import { type BodyLimits, RequestBody } from '../request-body.ts';
import { answerLocks } from './answer-locks.ts';
import { answerBatch, parseBatch, pointerOf } from './batch.ts';
import { DirectUploads } from './direct-uploads.ts';
import { inLfsForm, lfsAnswer, lfsError } from './lfs-answer.ts';
import { LfsLocks } from './lfs-locks.ts';
import { type LfsCall, needsWrite, parseLfsCall } from './lfs-route.ts';
import { receiveLfsFile, sendLfsFile } from './transfer.ts';

/** The files of Git LFS, and the key of the tokens that the SSH gateway gives to git-lfs. */
export interface LfsOptions {
  readonly store: ObjectStore;
  readonly tokenKey: Secret;
}

export interface LfsServerOptions extends LfsOptions {
  readonly authenticator: Authenticator;
  /**
   * Returns the ids of a repository; `undefined` if there is none. For a write it creates the
   * repository, if its user may.
   */
  readonly idsOf: (request: LfsTarget) => Promise<LfsIds | undefined>;
  readonly limits: { readonly json: BodyLimits; readonly file: BodyLimits };
}

/** The repository of a request, and who asks for it. */
export interface LfsTarget extends LfsGrant {
  readonly remoteAddress: string | undefined;
  readonly signal: AbortSignal;
}

export interface LfsExchange extends HttpExchange {
  /** The path of the repository and what is requested of it, as the address has them. */
  readonly repository: string;
  readonly rest: string;
  /** Query of the address. */
  readonly query: string;
}

/** Files that are searched for in the store at a time. */
const MAX_FINDING = 16;
const NOTHING = lfsError(404, 'There is nothing at this address.');
const NO_REPOSITORY = lfsError(404, 'The repository does not exist, or you may not read it.');
const NO_FILE = lfsError(404, 'The server has no such file.');
/** Forms of other sites cannot send it, although browsers would add the password of this one. */
const LFS_TYPE = /^application\/vnd\.git-lfs\+json\s*(?:;|$)/i;
const WRONG_TYPE = lfsError(415, 'The content type must be application/vnd.git-lfs+json.');
const BEARER = /^Bearer (?<token>\S+)$/i;
/** Statuses of errors of the store and of requests. */
const STATUSES: Readonly<Record<string, number>> = {
  INVALID_ARGUMENT: 422,
  NOT_FOUND: 404,
  PERMISSION_DENIED: 403,
  RESOURCE_EXHAUSTED: 413,
};

/** Finds files for pages. */
export type LfsFinder = Pick<LfsServer, 'present'>;

/** Serves Git LFS: batches, transfers and locks. @see git-lfs: "Git LFS API" */
export class LfsServer {
  readonly #options: LfsServerOptions;
  readonly #uploads: DirectUploads;
  /** One change of a list of locks at a time. */
  readonly #lockTurns = new Limit<string>({ capacityPerOwner: 1 });

  constructor(options: LfsServerOptions) {
    this.#options = options;
    this.#uploads = new DirectUploads(options.store);
  }

  /** Serves a request. @throws errors of the store that are not the client's. */
  async serve(exchange: LfsExchange): Promise<void> {
    const { repository, request, response, rest } = exchange;
    const call = parseLfsCall(request.method ?? '', rest);
    const path = parseRepositoryPath(repository);
    if (call === undefined || typeof path !== 'string') return sendAnswer(response, NOTHING);
    if (exchange.access !== undefined) exchange.access.repository = path;
    try {
      const answer = await this.#answer(exchange, call, path);
      if (answer !== undefined) sendAnswer(response, answer);
    } catch (error) {
      const status = error instanceof HttpRefusal ? undefined : statusOf(error);
      if (response.headersSent || (status === undefined && !(error instanceof HttpRefusal))) throw error;
      const refused =
        error instanceof HttpRefusal ? inLfsForm(error.answer) : lfsError(status ?? 500, messageOf(error));
      throw new HttpRefusal(refused, { cause: error });
    }
  }

  /** Returns those of some files that a client finds in a repository. */
  async present(
    target: Omit<LfsTarget, 'mayCreate' | 'operation'>,
    oids: readonly string[],
  ): Promise<ReadonlySet<string>> {
    const ids = await this.#options.idsOf({ ...target, operation: 'read', mayCreate: false });
    if (ids === undefined) return new Set();
    const objects = new LfsObjects(this.#options.store, ids);
    const found = mapAhead(oids, MAX_FINDING, (oid) => objects.find(oid, target.signal));
    return new Set((await Array.fromAsync(found)).flatMap((file) => (file === undefined ? [] : [file.oid])));
  }

  /** Returns the response; `undefined` if it was sent. */
  async #answer(exchange: LfsExchange, call: LfsCall, path: RepositoryPath): Promise<Answer | undefined> {
    const { request, sendContinue } = exchange;
    if (request.method === 'POST' && !LFS_TYPE.test(request.headers['content-type'] ?? '')) return WRONG_TYPE;
    // What a batch needs is in its body; that of other requests is read when they are allowed.
    if (call.kind === 'batch') {
      sendContinue();
      const batch = parseBatch(await this.#read(request));
      if ('refusal' in batch) return batch.refusal;
      const operation = batch.operation === 'upload' ? 'write' : 'read';
      const ids = await this.#admit(exchange, path, operation);
      if (!('ids' in ids)) return ids;
      const { authorization } = request.headers;
      return await answerBatch(batch, {
        objects: new LfsObjects(this.#options.store, ids.ids),
        base: addressOf(exchange),
        // git-lfs adds its own password; it does not know that of a login by SSH.
        header: ids.isByToken && authorization !== undefined ? { Authorization: authorization } : undefined,
        expiresIn: LFS_TOKEN_SECONDS,
        maxDirectBytes: operation === 'write' ? await this.#maxDirectBytes() : undefined,
        signal: exchange.signal,
      });
    }
    const admitted = await this.#admit(exchange, path, needsWrite(call) ? 'write' : 'read');
    if (!('ids' in admitted)) return admitted;
    sendContinue();
    return await this.#answerAdmitted(exchange, call, admitted);
  }

  async #maxDirectBytes(): Promise<number | undefined> {
    return (await this.#uploads.areSafe()) ? this.#options.limits.file.maxBytes : undefined;
  }

  async #answerAdmitted(
    { access, query, request, response, signal }: LfsExchange,
    call: Exclude<LfsCall, { kind: 'batch' }>,
    { identity, ids }: Admitted,
  ): Promise<Answer | undefined> {
    const { limits, store } = this.#options;
    const objects = new LfsObjects(store, ids);
    switch (call.kind) {
      case 'download': {
        const file = await objects.find(call.oid, signal);
        if (file === undefined) return NO_FILE;
        await sendLfsFile({ request, response, objects, signal }, file);
        return undefined;
      }
      case 'upload':
        return await receiveLfsFile(
          { request, response, objects, signal },
          call.oid,
          RequestBody.of(request, limits.file, (chunk) => access?.input(chunk)),
        );
      case 'verify': {
        const pointer = pointerOf(parsed(await this.#read(request)));
        const found = pointer && (await objects.find(pointer.oid, signal));
        return found !== undefined && found.size === pointer?.size ? lfsAnswer(200, {}) : NO_FILE;
      }
      default: {
        const body = request.method === 'GET' ? Buffer.alloc(0) : await this.#read(request);
        const [own] = ids;
        const user = identity.username === '' ? identity.glId : identity.username;
        const lockRequest = { call, query: new URLSearchParams(query), body, user, signal };
        return await answerLocks(lockRequest, new LfsLocks(store, own, this.#lockTurns));
      }
    }
  }

  async #read(request: IncomingMessage): Promise<Buffer> {
    return await buffer(RequestBody.of(request, this.#options.limits.json));
  }

  /** Checks the rights of a client. @returns the repository's ids, or the refusal. */
  async #admit(
    { access, peer, request, signal }: LfsExchange,
    path: RepositoryPath,
    operation: 'read' | 'write',
  ): Promise<Admitted | Answer> {
    const token = BEARER.exec(request.headers.authorization ?? '')?.groups?.token;
    const grant = token && grantOfLfsToken(token, this.#options.tokenKey, Date.now() / 1000);
    let identity: Identity;
    if (grant) {
      if (grant.path !== path || (operation === 'write' && grant.operation === 'read')) return NO_REPOSITORY;
      identity = grant.identity;
    } else {
      const { address: remoteAddress, scheme } = peer;
      const { headers } = request;
      const admission = await this.#options.authenticator.authenticate({
        ...{ headers, remoteAddress, scheme, path, operation },
      });
      if (access !== undefined) access.identity = 'answer' in admission ? admission.identity : admission;
      if ('answer' in admission) return inLfsForm(admission.answer);
      identity = admission;
    }
    if (access !== undefined) access.identity = identity;
    const isCreator = grant ? grant.mayCreate : mayCreate(identity);
    const target = { path, identity, operation, mayCreate: isCreator, remoteAddress: peer.address, signal };
    const ids = await this.#options.idsOf(target);
    return ids === undefined
      ? NO_REPOSITORY
      : { identity, ids, isByToken: grant !== undefined && grant !== '' };
  }
}

interface Admitted {
  readonly identity: Identity;
  readonly ids: LfsIds;
  /** True for a login by SSH. */
  readonly isByToken: boolean;
}

/** Returns the status of an error that is the client's; `undefined` for others. */
function statusOf(error: unknown): number | undefined {
  const code = codeOf(error) ?? '';
  // Of the server it is no limit of a file: it has too many calls at this time.
  const isBusy = error instanceof CallError && code === 'RESOURCE_EXHAUSTED';
  return isBusy ? undefined : STATUSES[code];
}

/** Returns the address of a repository's files, as the client reached it. */
function addressOf({ peer, repository, request }: LfsExchange): string {
  return `${peer.scheme}://${request.headers.host ?? 'localhost'}/${repository}/info/lfs/objects`;
}

function parsed(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
