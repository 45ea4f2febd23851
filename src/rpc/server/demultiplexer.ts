import type { Duplex } from 'node:stream';
import { BACKCHANNEL_MAGIC, readMagic } from '#rpc/common/connection-magic';
import { YamuxSession } from '#rpc/common/yamux/session';
import { YAMUX_SERVER } from '#rpc/common/yamux/settings';
import { HANDSHAKE_TIMEOUT_MS, MULTIPLEXER_CLOSE_MS } from './connection-limits.ts';
import type { Peer } from './handler.ts';

export interface DemultiplexerOptions {
  /** Takes a duplex that starts with the HTTP/2 preface: the connection itself, or the client's stream of a session. */
  onGrpc(duplex: Duplex, peer: Peer): void;
  /** Takes the session of a multiplexed connection and names it. */
  readonly backchannels: { register(session: YamuxSession): number };
  /** Default 120 s. */
  readonly handshakeTimeoutMs?: number;
}

/**
 * Finds out by its first 11 bytes what a new connection is. A plain one is handed on untouched (a socket stays a socket, so that
 * `node:http2` reads it natively); on a multiplexed one the client's first stream takes its place. Resolves when that is
 * decided and never rejects: a connection that fails or says nothing in time is destroyed.
 */
export async function demultiplex(
  connection: Duplex,
  peer: Omit<Peer, 'backchannelId'>,
  options: DemultiplexerOptions,
): Promise<void> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), options.handshakeTimeoutMs ?? HANDSHAKE_TIMEOUT_MS);
  const onError = () => connection.destroy();
  connection.on('error', onError);
  try {
    const magic = await readMagic(connection, [BACKCHANNEL_MAGIC], { signal: timeout.signal });
    // Gone without a word: a port scan, a health check of a load balancer.
    if (connection.readableEnded) connection.destroy();
    else if (magic === undefined) options.onGrpc(connection, { ...peer, backchannelId: undefined });
    else await multiplex(connection, peer, options, timeout.signal);
  } catch {
    // The peer went away, or took too long; there is nobody to tell.
    connection.destroy();
  } finally {
    clearTimeout(timer);
  }
}

async function multiplex(
  connection: Duplex,
  peer: Omit<Peer, 'backchannelId'>,
  options: DemultiplexerOptions,
  signal: AbortSignal,
): Promise<void> {
  const session = new YamuxSession(connection, YAMUX_SERVER);
  const stream = await session.accept({ signal });
  if (stream === undefined) return;
  // Everything else on the connection belongs to calls of this stream, so the session ends with it.
  stream.once('close', () => {
    const timer = setTimeout(() => session.destroy(), MULTIPLEXER_CLOSE_MS).unref();
    void session.close().then(() => clearTimeout(timer));
  });
  options.onGrpc(stream, { ...peer, backchannelId: options.backchannels.register(session) });
}
