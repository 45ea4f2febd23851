import type { Duplex } from 'node:stream';
import { BACKCHANNEL_MAGIC, readMagic } from '#rpc/common/connection-magic';
import { YamuxSession } from '#rpc/common/yamux/session';
import { YAMUX_SERVER, type YamuxOptions } from '#rpc/common/yamux/settings';
import { awaitFirstRequest, type FirstRequestOptions } from '../authority/await-first-request.ts';
import type { Peer } from '../handler.ts';
import type { Arrivals } from './arrivals.ts';
import { HANDSHAKE_TIMEOUT_MS, MULTIPLEXER_CLOSE_MS } from './connection-limits.ts';

export interface DemultiplexerOptions {
  /**
   * Accepts a duplex that starts with the HTTP/2 preface: the connection itself, or the client's
   * stream of a session.
   */
  onGrpc(duplex: Duplex, peer: Peer): void;
  /** Registers the session of a multiplexed connection and returns its id. */
  readonly backchannels: { register(session: YamuxSession): number };
  /** Notified of the bytes of each read and write on a multiplexed connection, for metrics. */
  readonly onTransfer?: YamuxOptions['onTransfer'];
  /** Default 120 s. */
  readonly handshakeTimeoutMs?: number;
  /** Reports whether a client's first request has a valid token. By default none is needed. */
  isTrusted?(peer: Pick<Peer, 'transport'>, authorization: string | undefined): boolean;
  /** The connections that a drain waits for. Without it, they end with the server. */
  readonly arrivals?: Arrivals;
}

/**
 * Determines the kind of a new connection from its first 11 bytes. A plain one is passed on
 * unchanged with its first request (a socket stays a socket, so that `node:http2` reads it
 * natively); on a multiplexed one the client's first stream replaces it. Resolves when that is
 * decided and never rejects: a connection that fails or is silent too long is destroyed.
 */
export function demultiplex(
  connection: Duplex,
  peer: Omit<Peer, 'backchannelId'>,
  options: DemultiplexerOptions,
): Promise<void> {
  const decided = decide(connection, peer, options);
  options.arrivals?.add(decided);
  return decided;
}

async function decide(
  connection: Duplex,
  peer: Omit<Peer, 'backchannelId'>,
  options: DemultiplexerOptions,
): Promise<void> {
  const timeout = new AbortController();
  using _timer = setTimeout(() => timeout.abort(), options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS);
  const handshake = {
    signal: timeout.signal,
    arrivals: options.arrivals,
    isTrusted: (authorization: string | undefined) => options.isTrusted?.(peer, authorization) ?? true,
  };
  const onError = () => connection.destroy();
  connection.on('error', onError);
  try {
    const magic = await readMagic(connection, [BACKCHANNEL_MAGIC], { signal: timeout.signal });
    // Closed without data: a port scan, or a health check of a load balancer.
    if (connection.readableEnded) connection.destroy();
    else if (magic === undefined)
      await serve(connection, { ...peer, backchannelId: undefined }, options, handshake);
    else await multiplex(connection, peer, options, handshake);
  } catch {
    // The peer has disconnected or took too long, so the error cannot be reported.
    connection.destroy();
  }
}

async function multiplex(
  connection: Duplex,
  peer: Omit<Peer, 'backchannelId'>,
  options: DemultiplexerOptions,
  handshake: FirstRequestOptions,
): Promise<void> {
  const session = new YamuxSession(connection, { ...YAMUX_SERVER, onTransfer: options.onTransfer });
  const stream = await session.accept({ signal: handshake.signal });
  if (stream === undefined) return;
  // All other streams of the connection belong to calls on this one, so the session ends with it.
  stream.once('close', () => {
    const timer = setTimeout(() => session.destroy(), MULTIPLEXER_CLOSE_MS).unref();
    void session.close().then(() => clearTimeout(timer));
  });
  await serve(
    stream,
    { ...peer, backchannelId: options.backchannels.register(session) },
    options,
    handshake,
  ).catch(() => stream.destroy());
}

/**
 * Passes on a duplex that starts with the preface. Clients may name the server by any text, such
 * as the path of its Unix socket.
 */
async function serve(
  duplex: Duplex,
  peer: Peer,
  options: DemultiplexerOptions,
  handshake: FirstRequestOptions,
): Promise<void> {
  const served = await awaitFirstRequest(duplex, handshake);
  if (served === undefined) duplex.destroy();
  else options.onGrpc(served, peer);
}
