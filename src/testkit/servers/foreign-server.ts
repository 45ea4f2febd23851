import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  type MethodDefinition,
  Server,
  ServerCredentials,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { callName } from '#client/call/typed-client';
import { methodInfo } from '#wire/method-info';
import { gitalyServices } from '#wire/methods';

/** Handlers by the client's names of the methods. Requests and responses are encoded messages. */
export type ForeignHandlers = UntypedServiceImplementation;

export interface ForeignServer extends AsyncDisposable {
  readonly address: string;
}

const bytes = (value: Buffer) => value;

/**
 * Starts a server of another implementation (grpc-js), so that our code is not on both ends. A
 * method without a handler is UNIMPLEMENTED.
 */
export async function startForeignServer(
  handlers: ForeignHandlers,
  address?: string,
): Promise<ForeignServer> {
  const directory = mkdtempSync(join(tmpdir(), 'foreign-server-'));
  const server = new Server();
  server.addService(definitionsOf(Object.keys(handlers)), handlers);
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const place = address ?? `unix:${join(directory, 'g.sock')}`;
  server.bindAsync(place, ServerCredentials.createInsecure(), (error, port) =>
    error ? reject(error) : resolve(port),
  );
  const port = await promise;
  return {
    address: place.startsWith('unix:') ? place : `tcp://127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.forceShutdown();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

function definitionsOf(names: readonly string[]): Record<string, MethodDefinition<Buffer, Buffer>> {
  const codec = {
    requestSerialize: bytes,
    requestDeserialize: bytes,
    responseSerialize: bytes,
    responseDeserialize: bytes,
  };
  const methods = gitalyServices
    .flatMap((service) => service.methods)
    .filter((method) => names.includes(callName(method)));
  const definitions = methods.map((method) => {
    const { path, kind } = methodInfo(method);
    const [requestStream, responseStream] = [
      kind === 'client_stream' || kind === 'bidi_stream',
      kind.endsWith('stream') && kind !== 'client_stream',
    ];
    return [callName(method), { path, requestStream, responseStream, ...codec }];
  });
  return Object.fromEntries(definitions);
}
