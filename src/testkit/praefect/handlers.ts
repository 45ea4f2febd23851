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
import type { RepositoryCall } from '#praefect/coordinator/call';
import type { GitalyNode } from '#praefect/nodes/gitaly-node';
import { type RepositoryHandlersOptions, repositoryHandlers } from '#praefect/services/repository-handlers';
import { Metadata } from '#rpc/common/metadata';
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

type Method = Parameters<typeof methodInfo>[0];

/** Returns a node that accepts calls. Only its name matters to plans. */
export function readyNode(storage: string): GitalyNode {
  return standIn({ storage, isReady: true, config: { virtualStorage: 'default' } });
}

/** A call on the repository `a.git` of the virtual storage `default`, and what was logged about it. */
interface CoordinatedCall {
  readonly call: RepositoryCall;
  /** Fields of the call's log line. */
  readonly fields: Record<string, unknown>;
  readonly leave: (reason: Error) => void;
}

/** Returns a call of a method. @param request an initializer of its input. */
export function coordinatedCall(
  method: Method,
  request: object,
  headers: Readonly<Record<string, string>> = {},
): CoordinatedCall {
  const fields: Record<string, unknown> = {};
  const info = methodInfo(method);
  const leaving = new AbortController();
  const context = standIn<HandlerContext>({
    method: info,
    headers: Metadata.from(headers),
    correlationId: 'id',
    signal: leaving.signal,
    log: { add: (more: object) => void Object.assign(fields, more) },
  });
  const repository = { virtualStorage: 'default', relativePath: 'a.git' };
  // The request as a server decodes it.
  const decoded = fromBinary(
    method.input,
    toBinary(method.input, create(method.input, request as MessageInitShape<DescMessage>)),
  );
  return {
    call: { method: info, request: decoded, context, repository },
    fields,
    leave: (reason) => leaving.abort(reason),
  };
}

/** Returns the messages that the nodes of a plan receive. */
export function sentMessages<I extends DescMessage>(
  input: I,
  destinations: readonly { readonly firstFrame: Buffer }[],
): MessageShape<I>[] {
  return destinations.map(({ firstFrame }) => fromBinary(input, firstFrame));
}
