import { create, type Message } from '@bufbuild/protobuf';
import type { Invoke } from '#client/call/call-types';
import { createClient, type ServiceDescriptor } from '#client/call/typed-client';
import type { Connection } from '#client/connection';
import type { MethodInfo } from '#wire/method-info';
import { answeringInvoke } from './answering-invoke.ts';
import { standIn } from './stand-in.ts';

/** A call that was made. */
export interface RecordedCall {
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
export function emptyAnswer({ kind, output }: MethodInfo): readonly Message[] {
  return kind === 'unary' || kind === 'client_stream' ? [create(output)] : [];
}
