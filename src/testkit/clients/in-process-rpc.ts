import { createServer, connect as dial } from 'node:net';
import { type Duplex, duplexPair } from 'node:stream';
import {
  type ChannelOptions,
  connectGrpc,
  type GrpcChannel,
  type OpenSession,
} from '#rpc/common/grpc/grpc-channel';
import { GrpcServer, type GrpcServerOptions } from '#rpc/server/grpc-server';
import type { Peer } from '#rpc/server/handler';

export interface InProcessServer extends AsyncDisposable {
  readonly server: GrpcServer;
  readonly channel: GrpcChannel;
}

/** Peer of in-process clients. */
export const TEST_PEER: Peer = { transport: 'internal', address: 'test', backchannelId: undefined };

/** Variable with which all tests of calls use sessions without HTTP/2. */
export const LOCAL_SESSIONS = 'GITALY_TESTING_LOCAL_SESSIONS';

/** Starts a gRPC server and a channel to it over a pair of streams in memory. */
export function connectTo(
  options: GrpcServerOptions,
  channelOptions: ChannelOptions = {},
  isLocal = process.env[LOCAL_SESSIONS] !== undefined,
): InProcessServer {
  const [clientSide, serverSide] = duplexPair();
  const server = new GrpcServer(options);
  const openSession: OpenSession = (_duplex, common) => server.openSession(common, TEST_PEER);
  if (!isLocal) server.serveConnection(serverSide, TEST_PEER);
  const channel = connectGrpc(clientSide, { ...channelOptions, ...(isLocal && { openSession }) });
  return {
    server,
    channel,
    [Symbol.asyncDispose]: async () => {
      channel.destroy();
      await server.shutdown({ graceMs: 0 });
    },
  };
}

export interface ListeningServer extends AsyncDisposable {
  readonly server: GrpcServer;
  readonly port: number;
  /** Opens a new TCP connection. */
  dial(): Duplex;
}

/** Starts a gRPC server on a loopback port. */
export async function listen(options: GrpcServerOptions): Promise<ListeningServer> {
  const server = new GrpcServer(options);
  const listener = createServer((socket) =>
    server.serveConnection(socket, { ...TEST_PEER, transport: 'tcp' }),
  );
  await new Promise<void>((resolve) => listener.listen(0, '127.0.0.1', resolve));
  const address = listener.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    server,
    port,
    dial: () => dial(port, '127.0.0.1'),
    [Symbol.asyncDispose]: async () => {
      listener.close();
      await server.shutdown({ graceMs: 0 });
    },
  };
}

/** Returns all messages of a stream. */
export async function all<T>(messages: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const message of messages) list.push(message);
  return list;
}

/** Returns the only message of a stream. @throws when there are none or several. */
export async function only<T>(messages: AsyncIterable<T>): Promise<T> {
  const list = await all(messages);
  const [message] = list;
  if (list.length !== 1 || message === undefined) throw new Error(`expected one message, got ${list.length}`);
  return message;
}
