import type { Socket } from 'node:net';
import { IDENTIFICATION, withoutIdentification } from './ssh-library.ts';

/** Time for the client's offer. A client that waits for the server's first does not send one. */
const OFFER_TIMEOUT_MS = 200;
/** Limit of the identification and the first packet; RFC 4253 allows packets of 35000 bytes. */
const MAX_BYTES = 40_000;

const KEXINIT = 20;
const COOKIE_BYTES = 16;
/** Lists before that of the ciphers from server to client. @see RFC 4253, 7.1 */
const LISTS_BEFORE = 3;

/**
 * Greets a client and reads the ciphers that it offers for the server's data, before the server
 * makes its own offer. The bytes that were read stay in the socket, which is paused.
 *
 * @returns `undefined` if the client sent no offer in time, or something else.
 */
export async function clientCiphers(
  socket: Socket,
  timeoutMs = OFFER_TIMEOUT_MS,
): Promise<readonly string[] | undefined> {
  const { promise, resolve } = Promise.withResolvers<readonly string[] | undefined>();
  let received: Buffer = Buffer.alloc(0);
  const onEnd = (): void => resolve(undefined);
  const onData = (chunk: Buffer): void => {
    received = Buffer.concat([received, chunk]);
    const ciphers = ciphersOf(received);
    if (ciphers !== 'incomplete') resolve(ciphers);
    else if (received.length > MAX_BYTES) onEnd();
  };
  const timer = setTimeout(onEnd, timeoutMs);
  socket.on('data', onData).once('end', onEnd).once('close', onEnd);
  socket.write(IDENTIFICATION);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    socket.off('data', onData).off('end', onEnd).off('close', onEnd);
    socket.pause();
    if (!socket.readableEnded && !socket.destroyed) socket.unshift(received);
    withoutIdentification(socket);
  }
}

/**
 * Parses an identification line and a KEXINIT packet.
 *
 * @returns `incomplete` if there may be more; `undefined` if it is something else.
 */
export function ciphersOf(bytes: Buffer): readonly string[] | 'incomplete' | undefined {
  const packet = bytes.indexOf('\n') + 1;
  if (packet === 0 || bytes.length < packet + 6) return 'incomplete';
  if (bytes.readUInt8(packet + 5) !== KEXINIT) return undefined;
  const end = packet + 4 + bytes.readUInt32BE(packet);
  let at = packet + 6 + COOKIE_BYTES;
  for (let list = 0; ; list++) {
    if (bytes.length < at + 4) return 'incomplete';
    const length = bytes.readUInt32BE(at);
    at += 4;
    if (at + length > end) return undefined;
    if (bytes.length < at + length) return 'incomplete';
    if (list === LISTS_BEFORE) return bytes.toString('latin1', at, at + length).split(',');
    at += length;
  }
}
