import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { abortable } from '../async/abortable.ts';
import { isError } from '../is-error.ts';

const DEFAULT_PORT = 123;
const DEFAULT_TIMEOUT_MS = 5_000;
const PACKET_BYTES = 48;
/** First byte of a request: no leap second, version 4, client. */
const CLIENT_REQUEST = 0x23;
const SERVER_MODE = 4;
const NOT_SYNCHRONIZED = 3;
/** Maximum distance from a reference clock; 0 is a refusal. */
const MAX_STRATUM = 15;
/** Seconds from NTP's epoch, 1900, to 1970. */
const NTP_EPOCH_SECONDS = 2_208_988_800;

export interface SntpOptions {
  /** Timeout for resolving the name and for the response. Default 5 s. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/**
 * Measures the offset of this machine's clock with one SNTP request (RFC 4330) over UDP.
 *
 * @param server `host`, `host:port`, an IP address, or `[address]:port`.
 * @returns milliseconds to add to our clock; negative when it is fast.
 * @throws {Error} when the name is unknown, no response arrives in time, or the server reports that
 *   it is not synchronized.
 */
export async function queryClockOffsetMs(server: string, options: SntpOptions = {}): Promise<number> {
  const timeout = AbortSignal.timeout(options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  const signal = options.signal === undefined ? timeout : AbortSignal.any([options.signal, timeout]);
  const { host, port } = parseServer(server);
  const address = await abortable(lookup(host), signal, toError);

  const sentMs = preciseNowMs();
  const request = encodeRequest(sentMs);
  const reply = await exchange(request, { address: address.address, family: address.family, port }, signal);
  const receivedMs = preciseNowMs();
  checkReply(reply, request);
  return (decodeTimeMs(reply, 32) - sentMs + (decodeTimeMs(reply, 40) - receivedMs)) / 2;
}

function parseServer(server: string): { host: string; port: number } {
  if (isIP(server) !== 0) return { host: server, port: DEFAULT_PORT };
  const match = /^(?:\[([^\]]+)\]|([^:]+))(?::(\d+))?$/.exec(server);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new Error('invalid address of a time server');
  return { host, port: match?.[3] === undefined ? DEFAULT_PORT : Number(match[3]) };
}

function encodeRequest(nowMs: number): Buffer {
  const packet = Buffer.alloc(PACKET_BYTES);
  packet.writeUInt8(CLIENT_REQUEST, 0);
  const seconds = Math.floor(nowMs / 1000);
  packet.writeUInt32BE((seconds + NTP_EPOCH_SECONDS) % 2 ** 32, 40);
  packet.writeUInt32BE(Math.floor(((nowMs - seconds * 1000) / 1000) * 2 ** 32), 44);
  return packet;
}

/**
 * Decodes a timestamp. Seconds since 1900 wrap in 2036, so small values belong to the next era.
 */
function decodeTimeMs(packet: Buffer, offset: number): number {
  const seconds = packet.readUInt32BE(offset);
  const era = seconds < 2 ** 31 ? 2 ** 32 : 0;
  return (seconds + era - NTP_EPOCH_SECONDS) * 1000 + (packet.readUInt32BE(offset + 4) / 2 ** 32) * 1000;
}

function checkReply(reply: Buffer, request: Buffer): void {
  const first = reply.readUInt8(0);
  const stratum = reply.readUInt8(1);
  if ((first & 7) !== SERVER_MODE || !reply.subarray(24, 32).equals(request.subarray(40, 48))) {
    throw new Error('answer does not belong to the request');
  }
  if (stratum === 0) throw new Error('kiss of death received');
  if (first >> 6 === NOT_SYNCHRONIZED || stratum > MAX_STRATUM)
    throw new Error('server clock not synchronized');
  if (reply.readBigUInt64BE(40) === 0n) throw new Error('server gave no time');
}

interface Destination {
  readonly address: string;
  readonly family: number;
  readonly port: number;
}

async function exchange(request: Buffer, to: Destination, signal: AbortSignal): Promise<Buffer> {
  const socket = createSocket(to.family === 6 ? 'udp6' : 'udp4');
  const reply = new Promise<Buffer>((resolve, reject) => {
    socket.on('error', reject);
    socket.on('message', (message) => {
      if (message.length >= PACKET_BYTES) resolve(message);
    });
    // On a connected socket the kernel drops packets of other senders and reports a closed port.
    socket.connect(to.port, to.address, () => socket.send(request));
  });
  try {
    return await abortable(reply, signal, toError);
  } finally {
    socket.close();
  }
}

/** Returns the error of an aborted signal with the text of Go's network calls. */
function toError({ reason }: AbortSignal): unknown {
  return isError(reason) && reason.name === 'TimeoutError' ? new Error('i/o timeout') : reason;
}

function preciseNowMs(): number {
  return performance.timeOrigin + performance.now();
}
