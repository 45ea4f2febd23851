import type { CallOptions } from '#client/call/call-types';
import type { Connection } from '#client/connection';
import type { SidechannelRegistry } from '#client/sidechannel-registry';
import type { Repository } from '#storage/repository';
import type { RepositoryTarget } from '#storage/repository-target';
import { fetchCommit } from './fetch-commit.ts';

export interface RemoteParts {
  readonly connection: Connection;
  readonly registry: SidechannelRegistry;
  readonly target: RepositoryTarget;
  readonly correlationId: string;
  readonly signal: AbortSignal;
}

/** The repository as calls name it. */
export function repositoryMessage(target: RepositoryTarget) {
  return { ...target, gitAlternateObjectDirectories: [...(target.gitAlternateObjectDirectories ?? [])] };
}

/** A repository seen through the server that has it. Its methods throw {CallError} with that server's status. */
export class RemoteRepository {
  readonly #parts: RemoteParts;

  constructor(parts: RemoteParts) {
    this.#parts = parts;
  }

  /** Whether any branch leads to a commit. */
  async hasBranches(): Promise<boolean> {
    const { connection, target } = this.#parts;
    return (await connection.repository.hasLocalBranches({ repository: repositoryMessage(target) }, this.#options)).value;
  }

  /** Id of the commit that a revision leads to; `undefined` when there is none. */
  async resolveCommit(revision: Uint8Array): Promise<string | undefined> {
    const { connection, target } = this.#parts;
    const { commit } = await connection.commit.findCommit({ repository: repositoryMessage(target), revision }, this.#options);
    return commit?.id;
  }

  /**
   * Fetches a commit, and what it needs, into the object directory of a repository, which is its quarantine where it has one. No reference changes.
   *
   * @throws {GitExitError} when git fails.
   */
  async fetchInto(repository: Repository, oid: string): Promise<void> {
    await fetchCommit(repository, oid, this.#parts);
  }

  get #options(): CallOptions {
    const { signal, correlationId } = this.#parts;
    return { signal, correlationId };
  }
}
