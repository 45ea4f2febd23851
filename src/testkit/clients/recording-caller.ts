import { create, type Message } from '@bufbuild/protobuf';
import type { Invocation, Invoke, ResponseStream } from '#client/call/call-types';
import { createClient, type ServiceDescriptor } from '#client/call/typed-client';
import type { Connection } from '#client/connection';
import type { CallScope } from '#client/rails/call-scope';
import type { StorageCaller } from '#client/rails/services/storage-calls';
import { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';
import { standIn } from '../stand-in.ts';

export interface RecordingCaller {
  readonly caller: StorageCaller;
  readonly calls: readonly RecordedCall[];
  /** The settings of each call. */
  readonly scopes: readonly CallScope[];
}

/**
 * Returns a caller of storages with these services. Default: their calls get an empty response, or
 * a stream without responses.
 */
export function recordingCaller(
  services: Readonly<Record<string, ServiceDescriptor>>,
  answersTo = emptyAnswer,
): RecordingCaller {
  const { calls, connection } = recordedConnection(services, answersTo);
  const scopes: CallScope[] = [];
  const caller: StorageCaller = {
    call: (_, work, scope = {}) => {
      scopes.push(scope);
      return work(connection);
    },
  };
  return { caller, calls, scopes };
}

/** A call that was made. */
interface RecordedCall {
  readonly rpc: string;
  /** All requests, without their repository. */
  readonly requests: readonly Record<string, unknown>[];
}

export interface RecordedConnection {
  readonly connection: Connection;
  readonly calls: readonly RecordedCall[];
}

/**
 * Returns a connection with only these services. A function returns the responses to their calls.
 */
export function recordedConnection(
  services: Readonly<Record<string, ServiceDescriptor>>,
  answersTo: (method: MethodInfo) => readonly Message[] = emptyAnswer,
): RecordedConnection {
  const calls: RecordedCall[] = [];
  const invoke: Invoke = (invocation) => {
    const { method } = invocation;
    const requests: Record<string, unknown>[] = [];
    calls.push({ rpc: method.name, requests });
    const call = answeringInvoke(...answersTo(method)).invoke(invocation);
    const { headers, trailers } = call;
    return {
      ...{ headers, trailers, cancel: () => {}, [Symbol.asyncDispose]: async () => {} },
      async *[Symbol.asyncIterator]() {
        for await (const request of invocation.requests) {
          const { repository: _, ...fields } = Object(request);
          requests.push(fields);
        }
        yield* call;
      },
    };
  };
  const clients = Object.fromEntries(
    Object.entries(services).map(([name, service]) => [name, createClient(service, invoke)]),
  );
  return { connection: standIn<Connection>(clients), calls };
}

/** An empty response, or a stream without responses. */
function emptyAnswer({ kind, output }: MethodInfo): readonly Message[] {
  return kind === 'unary' || kind === 'client_stream' ? [create(output)] : [];
}

/**
 * Returns a transport that responds to every call with these messages, and the calls that it got.
 */
export function answeringInvoke(...messages: unknown[]): { invoke: Invoke; invocations: Invocation[] } {
  const invocations: Invocation[] = [];
  const invoke: Invoke = (invocation) => {
    invocations.push(invocation);
    const stream: ResponseStream<unknown> = {
      headers: Promise.resolve(Metadata.from()),
      trailers: Promise.resolve(Metadata.from()),
      cancel: () => {},
      async *[Symbol.asyncIterator]() {
        yield* messages;
      },
      [Symbol.asyncDispose]: async () => {},
    };
    return stream;
  };
  return { invoke, invocations };
}
