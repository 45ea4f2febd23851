import type { Socket } from 'node:net';
import type * as Ssh2 from 'ssh2';

export type SshLibrary = (typeof Ssh2)['default'];
export type SshClient = Ssh2.Connection;
export type SshSession = Ssh2.Session;
export type SshChannel = Ssh2.ServerChannel;
export type SshAlgorithms = Ssh2.Algorithms;
export type SshParsedKey = Ssh2.ParsedKey;
export type SshAuthRequest = Ssh2.AuthContext;
export type SshKeyRequest = Ssh2.PublicKeyAuthContext;

/**
 * Loads the SSH library at first use, so that servers without this gateway do not pay for it. It
 * works without its native part.
 *
 * @throws {Error} that names the package if it is not installed.
 */
export async function loadSshLibrary(): Promise<SshLibrary> {
  try {
    return (await import('ssh2')).default;
  } catch (error) {
    throw new Error('The SSH gateway needs the package ssh2. Install it: npm install ssh2', { cause: error });
  }
}

/** Software version of the server, for the library. */
export const IDENT = 'gitaly-ts';
/** First line of the server. @see RFC 4253, 4.2 */
export const IDENTIFICATION = `SSH-2.0-${IDENT}\r\n`;

/**
 * Drops the first write of the library to a socket if it is the identification, which was sent
 * before.
 */
export function withoutIdentification(socket: Socket): void {
  const { write } = socket;
  socket.write = (...args: [data: Uint8Array | string]): boolean => {
    socket.write = write;
    const [data] = args;
    return Buffer.from(data).equals(Buffer.from(IDENTIFICATION)) ? true : socket.write(...args);
  };
}

/** The client's window of a channel. The library has it but does not expose it. */
export interface SendingSide {
  /** Largest packet that the client accepts, as announced when it opened the channel. */
  readonly packetSize: number;
}

interface ChannelInternals {
  readonly outgoing: SendingSide;
  _chunk: unknown;
  _chunkcb: unknown;
  _chunkErr: unknown;
  _chunkcbErr: unknown;
}

/** Parses the part of a chunk from `start` up to `end`. */
export type Parse = (chunk: Buffer, start: number, end: number) => void;

interface ClientInternals {
  readonly _protocol: {
    readonly _kexinit: unknown;
    readonly _queue: readonly unknown[] | undefined;
    parse: Parse;
  };
}

/**
 * Returns an object with the fields of ssh2 1.17 that its types omit. The tests of the gateway fail
 * if an upgrade moves them.
 */
function internalsOf<T>(object: unknown): T {
  return object as T;
}

export function sendingSide(channel: SshChannel): SendingSide {
  return internalsOf<ChannelInternals>(channel).outgoing;
}

/**
 * Clears the library's buffer of written data. Call it after each write of a channel has ended.
 * Otherwise the library keeps data that once waited for the client's window, and sends it again
 * when the other output waits later.
 */
export function forgetWritten(channel: SshChannel): void {
  const internals = internalsOf<ChannelInternals>(channel);
  internals._chunk = undefined;
  internals._chunkcb = undefined;
  internals._chunkErr = undefined;
  internals._chunkcbErr = undefined;
}

/**
 * Reports whether keys are being exchanged. Until that ends, the library keeps all outgoing data in
 * memory.
 */
export function isExchangingKeys(client: SshClient): boolean {
  return internalsOf<ClientInternals>(client)._protocol._kexinit !== undefined;
}

/** Returns the number of packets that wait until a key exchange has ended. */
export function packetsWaiting(client: SshClient): number {
  return internalsOf<ClientInternals>(client)._protocol._queue?.length ?? 0;
}

/** Replaces the function to which a client's bytes are passed; the new one gets the old one. */
export function replaceParse(client: SshClient, replace: (parse: Parse) => Parse): void {
  const protocol = internalsOf<ClientInternals>(client)._protocol;
  protocol.parse = replace(protocol.parse.bind(protocol));
}
