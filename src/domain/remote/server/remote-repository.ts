import { GitalyError } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import { flag, gitCommand } from '#git/command/git-command';
import type { GitExitError } from '#git/command/process/exit-error';
import type { Repository } from '#storage/repository';
import {
  INTERNAL_URL,
  type InternalFetch,
  type InternalFetchResult,
  internalFetch,
} from './internal-fetch.ts';
import { callOptions, type RemoteServerOptions, repositoryMessage } from './remote-server-options.ts';

/** git writes some hundred bytes. */
const MAX_CONFIG_BYTES = 1024 * 1024;

/** Opens the repository of another server in which a change starts. */
export type OpenRemote = () => Promise<RemoteRepository>;

/**
 * A repository on another server. Its methods throw {CallError} with that server's status.
 */
export class RemoteRepository {
  readonly #parts: RemoteServerOptions;

  constructor(parts: RemoteServerOptions) {
    this.#parts = parts;
  }

  /** Reports whether any branch leads to a commit. */
  async hasBranches(): Promise<boolean> {
    const { connection, target } = this.#parts;
    return (
      await connection.repository.hasLocalBranches({ repository: repositoryMessage(target) }, this.#options)
    ).value;
  }

  /** Returns the id of the commit at a revision; `undefined` if there is none. */
  async resolveCommit(revision: Uint8Array): Promise<string | undefined> {
    const { connection, target } = this.#parts;
    const { commit } = await connection.commit.findCommit(
      { repository: repositoryMessage(target), revision },
      this.#options,
    );
    return commit?.id;
  }

  /**
   * Fetches a commit and the objects it needs into the object directory of a repository, or into
   * its quarantine if there is one. No reference changes.
   *
   * @throws {GitExitError} when git fails.
   */
  async fetchInto(repository: Repository, oid: string): Promise<void> {
    await fetchCommit(repository, oid, this.#parts);
  }

  /** Reports whether the path exists and is a repository. */
  async exists(): Promise<boolean> {
    const { connection } = this.#parts;
    return (await connection.repository.repositoryExists(this.#request, this.#options)).exists;
  }

  /** Returns the object pool from which the repository borrows; `undefined` for none. */
  async objectPool(): Promise<{ relativePath: string; repository: RemoteRepository } | undefined> {
    const { connection } = this.#parts;
    const { objectPool } = await connection.objectPool.getObjectPool(this.#request, this.#options);
    if (objectPool?.repository === undefined) return undefined;
    const { storageName, relativePath } = objectPool.repository;
    const target = { storageName, relativePath };
    return { relativePath, repository: new RemoteRepository({ ...this.#parts, target }) };
  }

  /** Returns the full name of the reference that HEAD names; `undefined` for none. */
  async headTarget(): Promise<Buffer | undefined> {
    const { connection } = this.#parts;
    const request = { ...this.#request, headOnly: true };
    const { name } = await connection.ref.findDefaultBranchName(request, this.#options);
    return name.length === 0 ? undefined : Buffer.from(name);
  }

  /** Yields an archive of the repository (see `domain/snapshot`). */
  snapshot(): AsyncGenerator<Uint8Array> {
    return dataOf(this.#parts.connection.repository.getSnapshot(this.#request, this.#options));
  }

  /** Returns the `config` file. @throws {GitalyError} RESOURCE_EXHAUSTED above 1 MiB. */
  async config(): Promise<Buffer> {
    const pieces: Uint8Array[] = [];
    let bytes = 0;
    for await (const piece of dataOf(
      this.#parts.connection.repository.getConfig(this.#request, this.#options),
    )) {
      bytes += piece.length;
      if (bytes > MAX_CONFIG_BYTES) throw new GitalyError('RESOURCE_EXHAUSTED', 'config is too large');
      pieces.push(piece);
    }
    return Buffer.concat(pieces);
  }

  /** Yields a tar archive of the custom hooks; nothing if there are none. */
  customHooks(): AsyncGenerator<Uint8Array> {
    return dataOf(this.#parts.connection.repository.getCustomHooks(this.#request, this.#options));
  }

  /** Runs git against the repository. */
  async fetch(fetch: InternalFetch): Promise<InternalFetchResult> {
    return await internalFetch(fetch, this.#parts);
  }

  get #request() {
    return { repository: repositoryMessage(this.#parts.target) };
  }

  get #options(): CallOptions {
    return callOptions(this.#parts);
  }
}

async function* dataOf(messages: AsyncIterable<{ readonly data: Uint8Array }>): AsyncGenerator<Uint8Array> {
  for await (const { data } of messages) yield data;
}

/** Fetches one commit from the remote (see RemoteRepository.fetchInto). */
async function fetchCommit(repository: Repository, oid: string, remote: RemoteServerOptions): Promise<void> {
  const options = ['--no-write-fetch-head', '--quiet', '--no-tags', '--atomic'].map(flag);
  const command = gitCommand('fetch', { options, args: [INTERNAL_URL, oid] });
  const config = [{ key: 'advice.fetchShowForcedUpdates', value: 'false' }];
  const fetch = { runner: repository, command, config, gitProtocol: 'version=2' } as const;
  const { failure, refusal } = await internalFetch(fetch, remote);
  // When git rejected the data, its message is the reason. When git received nothing, the status of
  // the other server is.
  if (refusal !== undefined && !isOwnFault(failure)) throw refusal;
  if (failure !== undefined) throw failure;
}

function isOwnFault(failure: GitExitError | undefined): boolean {
  return (
    failure !== undefined &&
    failure.signal === undefined &&
    !failure.stderr.includes('Could not read from remote')
  );
}
