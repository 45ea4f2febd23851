import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BACKCHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { type ChannelOptions, connectGrpc, type GrpcChannel } from '#rpc/common/grpc-channel';
import { YamuxSession } from '#rpc/common/yamux/session';
import type { YamuxOptions } from '#rpc/common/yamux/settings';
import { type Endpoint, openSocket, type TlsSettings } from './endpoint.ts';

/** An open connection to one endpoint. */
export interface Transport {
  readonly channel: GrpcChannel;
  /** False once it takes no new calls: broken, or the server asked us to go. */
  readonly isOpen: boolean;
  /** Resolves, never rejects, when the socket is gone. */
  readonly closed: Promise<void>;
  /** While held, the connection keeps the process alive. Every `hold` needs its `release`. */
  hold(): void;
  release(): void;
  /** Takes no new calls and closes after the last one. */
  drain(): void;
  /** Closes now; calls under way fail with `error`. */
  destroy(error?: Error): Promise<void>;
}

export type OpenTransport = (endpoint: Endpoint, signal: AbortSignal) => Promise<Transport>;

/** The multiplexed form of a connection: a yamux session of which one stream carries gRPC. */
export interface Multiplexing {
  /** Takes the streams that the server opens, before a byte is read from them. */
  onStream(stream: Duplex): void;
  readonly settings: YamuxOptions;
}

export interface TransportOptions {
  readonly tls: TlsSettings | undefined;
  readonly multiplexing: Multiplexing | undefined;
  readonly channel: ChannelOptions;
  /** Keepalive pings only while a call runs. */
  readonly pingsOnlyWhenHeld: boolean;
}

/** What carries the gRPC session. */
interface Carrier {
  readonly duplex: Duplex;
  /** After the gRPC session has ended: lets other streams of the connection finish. */
  end(): void;
}

/** Opens a socket and the gRPC session on it. */
export async function openTransport(endpoint: Endpoint, signal: AbortSignal, options: TransportOptions): Promise<Transport> {
  const socket = await openSocket(endpoint, { tls: options.tls, signal });
  try {
    const carrier = options.multiplexing === undefined ? plain(socket) : await multiplex(socket, options.multiplexing);
    return createTransport(socket, carrier, options);
  } catch (error) {
    socket.destroy();
    throw error;
  }
}

function plain(socket: Duplex): Carrier {
  return { duplex: socket, end: () => socket.destroy() };
}

async function multiplex(socket: Duplex, { onStream, settings }: Multiplexing): Promise<Carrier> {
  socket.write(BACKCHANNEL_MAGIC);
  const session = new YamuxSession(socket, settings);
  const duplex = await session.open();
  void acceptStreams(session, onStream);
  return { duplex, end: () => void session.close() };
}

async function acceptStreams(session: YamuxSession, onStream: (stream: Duplex) => void): Promise<void> {
  for await (const stream of session) onStream(stream);
}

function createTransport(socket: Socket, carrier: Carrier, options: TransportOptions): Transport {
  let holders = 0;
  const wantsKeepalive = () => !options.pingsOnlyWhenHeld || holders > 0;
  const channel = connectGrpc(carrier.duplex, { ...options.channel, wantsKeepalive });
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  socket.once('close', () => onClosed());
  if (socket.closed) onClosed();
  void channel.closed.then(() => carrier.end());

  socket.unref();
  return {
    channel,
    closed,
    get isOpen() {
      return channel.state === 'ready';
    },
    hold: () => {
      if (holders++ === 0) socket.ref();
    },
    release: () => {
      if (--holders === 0) socket.unref();
    },
    drain: () => void channel.close(),
    destroy: (error) => {
      channel.destroy(error);
      socket.destroy();
      return closed;
    },
  };
}
