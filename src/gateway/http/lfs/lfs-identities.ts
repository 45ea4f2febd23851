import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { codeOf } from '#base/gitaly-error';
import type { CallOptions } from '#client/call/call-types';
import { callMetadata } from '#gateway/call-metadata';
import type { RepositoryCreator } from '#gateway/create-on-push';
import type { GitalyLink } from '#gateway/gitaly-link';
import type { RepositoryInit } from '#gateway/repository-mapping';
import type { RepositoryNames } from '#gateway/repository-names';
import type { LfsIds } from '#object-store/lfs-objects';
import type { LfsTarget } from './lfs-server.ts';

export interface LfsIdentitiesOptions {
  readonly link: GitalyLink;
  readonly names: RepositoryNames;
  /** Creates missing repositories; `undefined` if a push creates none. */
  readonly creator: RepositoryCreator | undefined;
}

/**
 * Finds the ids of repositories in the store. The server keeps them with the repository, so they
 * stay when it is renamed.
 */
export class LfsIdentities {
  readonly #options: LfsIdentitiesOptions;

  constructor(options: LfsIdentitiesOptions) {
    this.#options = options;
  }

  /**
   * Returns the ids of a repository; `undefined` if it does not exist. A write names a repository
   * that has no id, and creates a missing one: git-lfs sends its files before git's push.
   */
  async of({
    identity,
    mayCreate,
    operation,
    path,
    remoteAddress,
    signal,
  }: LfsTarget): Promise<LfsIds | undefined> {
    const { names } = this.#options;
    const repository = names.at(path);
    if (repository === undefined) return undefined;
    const calls: CallOptions = { signal, metadata: callMetadata({ identity, remoteAddress }) };
    const isWrite = operation === 'write';
    const found = await this.#idsAt(repository, isWrite, calls);
    if (found !== undefined) return found;
    const other = await names.otherAt(path, repository, calls);
    if (other !== undefined) return await this.#idsAt(other, isWrite, calls);
    const fresh = names.newAt(path);
    const creator = isWrite && mayCreate ? this.#options.creator : undefined;
    if (creator === undefined || fresh === undefined) return undefined;
    await creator.create(fresh, calls);
    return await this.#idsAt(fresh, isWrite, calls);
  }

  /** Returns the ids of a repository; `undefined` if it does not exist. */
  async #idsAt(
    repository: RepositoryInit,
    isWrite: boolean,
    calls: CallOptions,
  ): Promise<LfsIds | undefined> {
    const { settings } = this.#options.link.connection;
    for (let attempt = 1; ; attempt++) {
      try {
        const { lfsIds } = await settings.get({ repository }, calls);
        if (lfsIds.length > 0 || !isWrite) return idsOf(lfsIds);
        return idsOf((await settings.setLfsIds({ repository, ids: [randomUUID()] }, calls)).ids);
      } catch (error) {
        if (codeOf(error) === 'NOT_FOUND') return undefined;
        // Somebody else changes the settings, and perhaps sets the ids.
        if (codeOf(error) !== 'ABORTED' || attempt === MAX_ATTEMPTS) throw error;
        await delay(ATTEMPT_EVERY_MS);
      }
    }
  }
}

const MAX_ATTEMPTS = 20;
const ATTEMPT_EVERY_MS = 50;
/** Of a repository that has no files: ids are UUIDs. */
const NO_FILES = 'none';

function idsOf([own = NO_FILES, ...sources]: readonly string[]): LfsIds {
  return [own, ...sources];
}
