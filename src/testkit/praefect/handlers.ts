/** The handlers of methods that Praefect answers itself, on scripted nodes, for tests. */
import { setImmediate as turn } from 'node:timers/promises';
import {
  create,
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from '@bufbuild/protobuf';
import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { type RepositoryHandlersOptions, repositoryHandlers } from '#praefect/services/repository-handlers';
import type { HandlerContext } from '#rpc/server/handler';
import { methodInfo } from '#wire/method-info';
import { lineLogger } from '../line-logger.ts';
import { standIn } from '../stand-in.ts';

const { signal } = new AbortController();

/** Calls of nodes and of the database, in their order. */
export type NotedCalls = unknown[];

/** A node that records its calls. @param fails error of its removals. */
export function notingNode(storage: string, calls: NotedCalls, fails?: Error): GitalyNode {
  const note =
    (method: string, response: unknown = {}) =>
    async (request: object, options: { correlationId?: string }) => {
      await turn();
      calls.push([storage, method, request, options.correlationId]);
      if (fails !== undefined) throw fails;
      return response;
    };
  const connection = {
    repository: {
      removeRepository: note('removeRepository'),
      removeAll: note('removeAll'),
      backupRepository: note('backupRepository'),
    },
    objectPool: { deleteObjectPool: note('deleteObjectPool'), getObjectPool: note('getObjectPool') },
  };
  return standIn({ storage, connection });
}

/**
 * Returns functions that call the handlers. @param calls receives the calls of nodes and database.
 */
export function startHandlers(
  options: Partial<Record<keyof RepositoryHandlersOptions, unknown>> = {},
  calls: NotedCalls = [],
) {
  const { lines: log, logger } = lineLogger();
  const parts = standIn<RepositoryHandlersOptions>({
    nodes: new Map([['default', ['one', 'two', 'three'].map((storage) => notingNode(storage, calls))]]),
    removals: {
      remove: async (repository: unknown) => {
        await turn();
        calls.push(['removed', repository]);
        return { replicaPath: '@cluster/a', storages: ['one', 'three', 'gone'] };
      },
    },
    onChanged: async (repository: unknown) => {
      for (let turns = 0; turns < 3; turns++) await turn(); // longer than the nodes take
      calls.push(['changed', repository]);
    },
    logger,
    ...options,
  });
  const handlers = repositoryHandlers(parts);
  const facts: Record<string, unknown> = {};
  /** Calls a method with the bytes of its request. */
  async function callRaw<O extends DescMessage>(
    method: DescMethodUnary<DescMessage, O> | DescMethodServerStreaming<DescMessage, O>,
    ...requests: readonly Uint8Array[]
  ): Promise<MessageShape<O>[]> {
    const handler = handlers.get(methodInfo(method).path);
    if (handler === undefined) throw new Error(`no handler of ${method.name}`);
    const add = (fields: object) => void Object.assign(facts, fields);
    const context = standIn<HandlerContext>({ signal, correlationId: 'id', log: { add } });
    async function* frames() {
      for (const each of requests) yield Buffer.from(each);
    }
    const responses = await Array.fromAsync(handler(frames(), context));
    return responses.map((response) =>
      fromBinary(method.output, response instanceof Uint8Array ? response : Buffer.concat(response)),
    );
  }
  async function call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O> | DescMethodServerStreaming<I, O>,
    request: MessageInitShape<I>,
  ): Promise<MessageShape<O>[]> {
    return await callRaw(method, toBinary(method.input, create(method.input, request)));
  }
  return { calls, facts, log, call, callRaw };
}
