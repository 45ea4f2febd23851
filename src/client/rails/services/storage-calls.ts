import { AsyncLocalStorage } from 'node:async_hooks';
import type { Message, MessageInitShape } from '@bufbuild/protobuf';

import type { Connection } from '#client/connection';
import type { RepositorySchema } from '#wire/gen/shared_pb';
import type { CallScope } from '../call-scope.ts';

/** An object that makes calls of a storage: a `GitalyClient`. */
export interface StorageCaller {
  call<T>(storage: string, work: (gitaly: Connection) => Promise<T>, scope?: CallScope): Promise<T>;
}

/** A repository as in requests: `{ storageName, relativePath, glRepository, glProjectPath }`. */
export type RepositoryInit = Exclude<MessageInitShape<typeof RepositorySchema>, Message> & {
  readonly storageName: string;
};

/** The calls of one service for one repository. */
export class RepositoryCalls {
  protected readonly repository: RepositoryInit;
  readonly #client: StorageCaller;

  constructor(client: StorageCaller, repository: RepositoryInit) {
    this.#client = client;
    this.repository = repository;
  }

  protected call<T>(
    timeout: NonNullable<CallScope['timeout']>,
    work: (gitaly: Connection) => Promise<T>,
    scope: CallScope = {},
  ): Promise<T> {
    return this.#client.call(this.repository.storageName, work, { ...scope, timeout });
  }

  /** Yields the items of a stream. The call starts at the first `next` and counts once. */
  protected async *each<T>(
    timeout: NonNullable<CallScope['timeout']>,
    start: (gitaly: Connection) => AsyncIterable<T>,
  ): AsyncGenerator<T, void, undefined> {
    const { iterator, inScope } = await this.call(timeout, async (gitaly) => ({
      iterator: start(gitaly)[Symbol.asyncIterator](),
      // Some helpers start their call only when they are read.
      inScope: AsyncLocalStorage.snapshot(),
    }));
    let isOver = false;
    try {
      for (;;) {
        const result = await inScope(() => iterator.next());
        isOver = result.done === true;
        if (result.done === true) return;
        yield result.value;
      }
    } catch (error) {
      isOver = true;
      throw error;
    } finally {
      if (!isOver) await iterator.return?.();
    }
  }
}

/** Returns the field of a request that makes its paths literal, without wildcards. */
export function literalPaths(literalPathspecs: boolean) {
  return literalPathspecs ? { globalOptions: { literalPathspecs } } : {};
}
