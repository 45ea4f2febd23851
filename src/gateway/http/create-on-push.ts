import type { IncomingHttpHeaders } from 'node:http';
import { codeOf } from '#base/gitaly-error';
import type { CallOptions } from '#client/call-types';
import type { Connection } from '#client/connection';
import { ObjectFormat } from '#wire/gen/shared_pb';
import type { RepositoryInit } from './repository-mapping.ts';

/** What `createOnPush` makes. */
export interface CreateOnPushOptions {
  /** Object format of a new repository unless the client names one. Default sha1, as git's. */
  readonly objectFormat?: 'sha1' | 'sha256';
}

/**
 * A client does not say which object format it pushes before it has seen what the server offers, so one that pushes a sha256
 * repository to a new name has to ask for it: `git -c http.extraHeader='X-Git-Object-Format: sha256' push …`.
 */
const OBJECT_FORMAT_HEADER = 'x-git-object-format';

/** New repositories remembered until their default branch is known to exist. */
const MAX_REMEMBERED = 1000;

/** Makes repositories at the first push to them and gives them the default branch that was pushed. */
export class RepositoryCreator {
  readonly #connection: Connection;
  readonly #options: CreateOnPushOptions;
  readonly #withoutBranch = new Set<string>();

  constructor(connection: Connection, options: CreateOnPushOptions) {
    this.#connection = connection;
    this.#options = options;
  }

  /** Creates the repository. Another push may have been faster, which is as good. */
  async create(repository: RepositoryInit, headers: IncomingHttpHeaders, options: CallOptions): Promise<void> {
    const wanted = headers[OBJECT_FORMAT_HEADER] ?? this.#options.objectFormat ?? 'sha1';
    const objectFormat = wanted === 'sha256' ? ObjectFormat.SHA256 : ObjectFormat.SHA1;
    try {
      await this.#connection.repository.createRepository({ repository, objectFormat }, options);
    } catch (error) {
      if (codeOf(error) !== 'ALREADY_EXISTS') throw error;
    }
    if (this.#withoutBranch.size < MAX_REMEMBERED) this.#withoutBranch.add(keyOf(repository));
  }

  /**
   * After a push to a new repository: HEAD names `main`, which need not be what was pushed. Points it at a branch that exists, so that
   * a clone has something to check out.
   */
  async chooseDefaultBranch(repository: RepositoryInit, options: CallOptions): Promise<void> {
    if (!this.#withoutBranch.has(keyOf(repository))) return;
    const { name } = await this.#connection.ref.findDefaultBranchName({ repository }, options);
    if (name.byteLength === 0) return; // nothing but tags so far, or the push was refused
    await this.#connection.repository.writeRef({ repository, ref: Buffer.from('HEAD'), revision: name }, options);
    this.#withoutBranch.delete(keyOf(repository));
  }
}

function keyOf({ storageName = '', relativePath = '' }: RepositoryInit): string {
  return `${storageName}\0${relativePath}`;
}
