import type { IncomingHttpHeaders } from 'node:http';
import { codeOf } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import { Repository } from '#client/repository/index';
import type { AccessEntry } from '#gateway/access/access-entry';
import type { Identity } from '#gateway/identity';
import type { RepositoryInit } from '#gateway/repository-mapping';
import type { RepositoryNames } from '#gateway/repository-names';
import type { RepositoryPath } from '#gateway/repository-path';
import type { ObjectStore } from '#object-store/object-store';
import type { AccessClient, Authenticator } from '../authentication.ts';
import { ApiAccess, metadataOf, requirePath } from './api-access.ts';
import type { ApiOperation, Reply } from './operation.ts';
import { Problem } from './problems.ts';
import { RepositoryList } from './repository-list.ts';
import type { RequestRate } from './request-rate.ts';

export interface OperationRunnerOptions {
  /** Name of the storage with the repositories. */
  readonly storage: string;
  /** The files of Git LFS. */
  readonly lfs: ObjectStore | undefined;
  readonly connection: Connection;
  readonly names: RepositoryNames;
  readonly authenticator: Authenticator;
  /** Default: any number of requests. */
  readonly rate?: RequestRate | undefined;
}

/** Who wants an operation, and until when. */
export interface ApiCaller {
  readonly client: AccessClient;
  readonly signal: AbortSignal;
  readonly access: AccessEntry | undefined;
}

/** The checked values of a request. */
export interface OperationValues {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  /** Bytes of a request whose body is not JSON. */
  readonly content: AsyncIterable<Uint8Array>;
  readonly headers: IncomingHttpHeaders;
  readonly isHead: boolean;
  /** Bytes of patches that the caller can use. */
  readonly maxPatchBytes: number;
}

export interface AdmittedOperation {
  /**
   * Runs it.
   *
   * @param use reads the reply, which may call the server again.
   * @param isUnsent reports whether nothing of the reply was sent yet: only then a repository is
   *   looked for at its other address.
   */
  run(values: OperationValues, use: (reply: Reply) => Promise<void>, isUnsent: () => boolean): Promise<void>;
}

/** Time limit of the calls of an answer that is no stream. */
const CALL_TIMEOUT_MS = 120_000;

/** Runs operations of the table for those who may. */
export class OperationRunner {
  readonly #options: OperationRunnerOptions;
  readonly #list: RepositoryList;

  constructor(options: OperationRunnerOptions) {
    this.#options = options;
    this.#list = new RepositoryList(options.connection, options.storage);
  }

  /** Checks the rights of a caller. @throws {Problem} {Refusal} */
  async admit(
    operation: ApiOperation,
    repository: string | undefined,
    caller: ApiCaller,
  ): Promise<AdmittedOperation> {
    const { access, client } = caller;
    const { authenticator, names, rate, storage } = this.#options;
    const rights = new ApiAccess(authenticator, client);
    const path = repository === undefined ? undefined : requirePath(repository);
    if (access !== undefined && path !== undefined) access.repository = path;
    const identity = await admit(rights, operation, path, access);
    await rate?.count(client);
    return {
      run: async (values, use, isUnsent) => {
        const init = path === undefined ? { storageName: storage } : existing(names.at(path));
        const call = this.#callOf(values, path, rights, { ...caller, identity });
        const runAt = async (where: RepositoryInit): Promise<void> =>
          await use(await operation.serve({ ...call, ...repositoryOf(call.connection, where, identity) }));
        try {
          await runAt(init);
        } catch (error) {
          if (!isUnsent() || path === undefined || codeOf(error) !== 'NOT_FOUND') throw error;
          const other = await names.otherAt(path, init, call.options);
          if (other === undefined) throw error;
          await runAt(other);
        }
      },
    };
  }

  #callOf(
    values: OperationValues,
    path: RepositoryPath | undefined,
    rights: ApiAccess,
    { access, client, identity, signal }: ApiCaller & { readonly identity: Identity },
  ) {
    const { connection, lfs, names, storage } = this.#options;
    const options = { signal, timeoutMs: CALL_TIMEOUT_MS, metadata: metadataOf(identity, client) };
    const others = {
      mayRead: (relativePath: string) => rights.mayRead(relativePath),
      paths: (limits: CallOptions) => this.#list.paths(limits),
      toCreate: async (text: string, moved?: RepositoryPath) => {
        const toPath = requirePath(text);
        if (access !== undefined) access.repository ??= toPath;
        const creator = await rights.admit(toPath, 'create');
        const own = { ...options, metadata: metadataOf(creator, client) };
        if (toPath !== moved && (await names.wouldHide(toPath, own)))
          throw new Problem('exists', 409, 'There is a repository at this path.');
        const { repository } = repositoryOf(connection, existing(names.newAt(toPath)), creator);
        return { path: toPath, repository, options: own };
      },
    };
    return { ...values, connection, lfs, storage, others, options, path: path ?? NO_PATH };
  }
}

/** Returns the repository that a path is mapped to. @throws {Problem} if none can have the path. */
function existing(mapped: RepositoryInit | undefined): RepositoryInit {
  if (mapped === undefined) throw new Problem('not-found', 404, 'There is no such repository.');
  return mapped;
}

const NO_PATH = '' as RepositoryPath; // of operations without a repository, which do not read it
/** Lists are made for the server, and then limited to what their reader may see. */
const NOBODY: Identity = { glId: 'user-0', username: '' };

/** Checks the rights of an operation. @throws {Problem} {Refusal} */
async function admit(
  rights: ApiAccess,
  { right }: ApiOperation,
  path: RepositoryPath | undefined,
  access: AccessEntry | undefined,
): Promise<Identity> {
  if (right === 'none' || path === undefined) {
    const user = await rights.checkCredentials();
    if (access !== undefined && user !== undefined) access.identity = user;
    return NOBODY;
  }
  const { glRepository: _, ...identity } = await rights.admit(path, right);
  if (access !== undefined) access.identity = identity;
  return identity;
}

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
