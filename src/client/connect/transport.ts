import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { BACKCHANNEL_MAGIC } from '#rpc/common/connection-magic';
import { type ChannelOptions, connectGrpc, type GrpcChannel } from '#rpc/common/grpc/grpc-channel';
import { YamuxSession } from '#rpc/common/yamux/session';
import type { YamuxOptions } from '#rpc/common/yamux/settings';
import { type Endpoint, openSocket, type TlsSettings } from './endpoint.ts';

/** An open connection to one endpoint. */
export interface Transport {
  readonly channel: GrpcChannel;
  /** False when it accepts no new calls: broken, or after a GOAWAY. */
  readonly isOpen: boolean;
  /** Number of running calls: those that hold it. */
  readonly calls: number;
  /** Resolves when the socket is closed; never rejects. */
  readonly closed: Promise<void>;
  /** Keeps the process alive while held. Every `hold` needs its `release`. */
  hold(): void;
  release(): void;
  /** Accepts no new calls and closes after the last one. */
  drain(): void;
  /** Closes at once; running calls fail with `error`. */
  destroy(error?: Error): Promise<void>;
}

export type OpenTransport = (endpoint: Endpoint, signal: AbortSignal) => Promise<Transport>;

/** Settings of a multiplexed connection: a yamux session of which one stream carries gRPC. */
export interface Multiplexing {
  /** Handles a stream that the server opens, before any byte is read from it. */
  onStream(stream: Duplex): void;
  /** Notified when the connection is closed. */
  readonly onClosed?: (() => void) | undefined;
  readonly settings: YamuxOptions;
  /**
   * Reports whether the callback of a sidechannel has not run yet. Calls whose sidechannel was used
   * are not repeated.
   */
  readonly isSidechannelUnused?: (id: string) => boolean;
}

export interface TransportOptions {
  readonly tls: TlsSettings | undefined;
  readonly multiplexing: Multiplexing | undefined;
  readonly channel: ChannelOptions;
  /** Opens the connection instead of a socket: to a server in this process. */
  readonly connect?: (() => Duplex) | undefined;
  /** True if keepalive pings are sent only while a call runs. */
  readonly pingsOnlyWhenHeld: boolean;
}

/** The carrier of the gRPC session. */
interface Carrier {
  readonly duplex: Duplex;
  /** Lets other streams of the connection finish after the gRPC session has ended. */
  end(): void;
}

/** Opens a socket and a gRPC session on it. */
export async function openTransport(
  endpoint: Endpoint,
  signal: AbortSignal,
  options: TransportOptions,
): Promise<Transport> {
  const socket = options.connect?.() ?? (await openSocket(endpoint, { tls: options.tls, signal }));
  try {
    const carrier =
      options.multiplexing === undefined ? plain(socket) : await multiplex(socket, options.multiplexing);
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

function createTransport(socket: Duplex, carrier: Carrier, options: TransportOptions): Transport {
  let holders = 0;
  const wantsKeepalive = () => !options.pingsOnlyWhenHeld || holders > 0;
  const channel = connectGrpc(carrier.duplex, { ...options.channel, wantsKeepalive });
  const { promise: closed, resolve: onClosed } = Promise.withResolvers<void>();
  if (options.multiplexing?.onClosed !== undefined) void closed.then(options.multiplexing.onClosed);
  socket.once('close', () => onClosed());
  if (socket.closed) onClosed();
  void channel.closed.then(() => carrier.end());

  const keepsAlive = (isKept: boolean): void => {
    if (socket instanceof Socket) isKept ? socket.ref() : socket.unref();
  };
  keepsAlive(false);
  return {
    channel,
    closed,
    get isOpen() {
      return channel.state === 'ready';
    },
    get calls() {
      return holders;
    },
    hold: () => {
      if (holders++ === 0) keepsAlive(true);
    },
    release: () => {
      if (--holders === 0) keepsAlive(false);
    },
    drain: () => void channel.close(),
    destroy: (error) => {
      channel.destroy(error);
      socket.destroy();
      return closed;
    },
  };
}
