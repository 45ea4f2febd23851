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
 * The SSH library, loaded at the first use: servers without this door do not pay for it. It works without its native part.
 *
 * @throws {Error} that names the package, when it is not installed.
 */
export async function loadSshLibrary(): Promise<SshLibrary> {
  try {
    return (await import('ssh2')).default;
  } catch (error) {
    throw new Error('The SSH door needs the package ssh2. Install it: npm install ssh2', { cause: error });
  }
}

/** What the client allows us to send on a channel. The library keeps it without offering it. */
export interface SendingSide {
  /** Largest packet that the client takes, as it said when it opened the channel. */
  readonly packetSize: number;
}

interface ChannelInternals {
  readonly outgoing: SendingSide;
  _chunk: unknown;
  _chunkcb: unknown;
  _chunkErr: unknown;
  _chunkcbErr: unknown;
}

interface ClientInternals {
  readonly _protocol: { readonly _kexinit: unknown; readonly _queue: readonly unknown[] | undefined };
}

// The casts of this file: fields of ssh2 1.17 that its types leave out. The tests of the door fail when an upgrade moves them.

export function sendingSide(channel: SshChannel): SendingSide {
  return (channel as unknown as ChannelInternals).outgoing;
}

/**
 * To be called after each write of a channel has ended. The library forgets nothing that once waited for the client's window: when
 * the other output waits later, it would send the old bytes again.
 */
export function forgetWritten(channel: SshChannel): void {
  const internals = channel as unknown as ChannelInternals;
  internals._chunk = undefined;
  internals._chunkcb = undefined;
  internals._chunkErr = undefined;
  internals._chunkcbErr = undefined;
}

/** Whether keys are being exchanged. Until that ends, the library keeps everything that is to be sent in memory. */
export function isExchangingKeys(client: SshClient): boolean {
  return (client as unknown as ClientInternals)._protocol._kexinit !== undefined;
}

/** How many packets wait for the end of a key exchange. */
export function packetsWaiting(client: SshClient): number {
  return (client as unknown as ClientInternals)._protocol._queue?.length ?? 0;
}
