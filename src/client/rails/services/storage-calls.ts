import { AsyncLocalStorage } from 'node:async_hooks';
import type { Message, MessageInitShape } from '@bufbuild/protobuf';
import type { Connection } from '#client/connection';
import { eachItem } from '#client/content/collect/each-item';
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

/** Items that a call yields, one by one. */
export type Items<T> = AsyncGenerator<T, void, undefined>;

/** A message with a list in a field. */
type Lists<Field extends string> = Readonly<Record<Field, readonly unknown[]>>;

type Timeout = NonNullable<CallScope['timeout']>;

/** The calls of one service for one repository. */
export class RepositoryCalls {
  protected readonly repository: RepositoryInit;
  readonly #client: StorageCaller;

  constructor(client: StorageCaller, repository: RepositoryInit) {
    this.#client = client;
    this.repository = repository;
  }

  protected call<T>(
    timeout: Timeout,
    work: (gitaly: Connection) => Promise<T>,
    scope: CallScope = {},
  ): Promise<T> {
    return this.#client.call(this.repository.storageName, work, { ...scope, timeout });
  }

  /** Yields the items of a stream. The call starts at the first `next` and counts once. */
  protected async *each<T>(timeout: Timeout, start: (gitaly: Connection) => AsyncIterable<T>): Items<T> {
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

  /** Yields the items of a stream of lists, which are in a field of its messages. */
  protected items<Field extends string, Message extends Lists<Field>>(
    timeout: Timeout,
    start: (gitaly: Connection) => AsyncIterable<Message>,
    field: Field,
  ): Items<Message[Field][number]> {
    return this.each(timeout, (gitaly) => eachItem(start(gitaly), (message) => message[field]));
  }

  /** Returns the items of a stream of lists. */
  protected list<Field extends string, Message extends Lists<Field>>(
    timeout: Timeout,
    start: (gitaly: Connection) => AsyncIterable<Message>,
    field: Field,
  ): Promise<Message[Field][number][]> {
    const listed = (gitaly: Connection) => eachItem(start(gitaly), (message) => message[field]);
    return this.call(timeout, (gitaly) => Array.fromAsync(listed(gitaly)));
  }
}

/** Returns the field of a request that makes its paths literal, without wildcards. */
export function literalPaths(literalPathspecs: boolean) {
  return literalPathspecs ? { globalOptions: { literalPathspecs } } : {};
}
