import type { Duplex } from 'node:stream';
import { awaitFirstRequest } from '../authority/await-first-request.ts';
import { HANDSHAKE_TIMEOUT_MS } from './connection-limits.ts';

/**
 * Passes on a stream on which a Gitaly calls back the client of a multiplexed connection. grpc-go
 * names the client's end of that connection as the authority, which is `@` on a Unix socket. Never
 * rejects: a stream that fails or is silent too long is destroyed.
 */
export async function acceptReverse(stream: Duplex, onGrpc: (duplex: Duplex) => void): Promise<void> {
  const timeout = new AbortController();
  using _timer = setTimeout(() => timeout.abort(), HANDSHAKE_TIMEOUT_MS).unref();
  stream.on('error', () => stream.destroy());
  try {
    const served = await awaitFirstRequest(stream, { signal: timeout.signal });
    if (served === undefined) stream.destroy();
    else onGrpc(served);
  } catch {
    stream.destroy(); // the Gitaly sees it
  }
}
