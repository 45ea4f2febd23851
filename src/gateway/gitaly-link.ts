import type { Duplex } from 'node:stream';
import type { Connection } from '#client/connection';
import { dialLocal } from '#client/dial-local';
import { dialSidechannel } from '#client/dial-sidechannel';
import { SidechannelRegistry } from '#client/sidechannel-registry';
import type { OpenSession } from '#rpc/common/grpc/grpc-channel';

/** Address of the gateway's Gitaly. */
export interface GitalyAddress {
  readonly address: string;
  readonly token?: string;
  /**
   * Opens a connection to a Gitaly in this process, instead of a socket to the address:
   * `GitalyServer.connect`. It saves the system two copies of each byte.
   */
  readonly connect?: () => Duplex;
  /** Opens a session of that Gitaly, for calls without sidechannels: `GitalyServer.openSession`. */
  readonly openSession?: OpenSession;
}

/** The connections that all requests share. */
export interface GitalyLink extends AsyncDisposable {
  /** For calls without sidechannels. */
  readonly connection: Connection;
  /** For calls with sidechannels; the same one, unless Gitaly is in this process. */
  readonly sidechannels: Connection;
  readonly registry: SidechannelRegistry;
}

/** Longest wait of a request for a Gitaly that cannot be reached: one that is restarted is back then. */
const REACH_MS = 5000;
/** Longest pause between attempts to connect. */
const MAX_BACKOFF_MS = 500;

/**
 * Waits for a moment while Gitaly cannot be reached. If it stays away, the next call fails with the
 * reason.
 *
 * @returns `undefined` if there is nothing to wait for.
 */
export function reach(link: GitalyLink, signal: AbortSignal): Promise<void> | undefined {
  return link.connection.state === 'ready' ? undefined : waitFor(link, signal);
}

async function waitFor({ connection }: GitalyLink, signal: AbortSignal): Promise<void> {
  await connection.waitForReady({ signal, timeoutMs: REACH_MS }).catch(() => {}); // the call reports it
}

/**
 * Creates the connections. They open with the first request and reconnect automatically.
 *
 * @param maxStreamWindowBytes bounds the data in flight to one clone. Default 256 KiB, as in
 *   Gitaly's own clients.
 */
export async function linkGitaly(
  { address, connect, openSession, token }: GitalyAddress,
  maxStreamWindowBytes?: number,
): Promise<GitalyLink> {
  const registry = new SidechannelRegistry();
  const common = {
    clientName: 'gitaly-gateway',
    maxConnectBackoffMs: MAX_BACKOFF_MS,
    ...(token !== undefined && { token }),
  };
  const sidechannels = await dialSidechannel(address, registry, {
    ...common,
    ...(maxStreamWindowBytes !== undefined && { maxStreamWindowBytes }),
    ...(connect !== undefined && { connect }),
  });
  const connection =
    openSession === undefined ? sidechannels : await dialLocal(address, { ...common, openSession });
  return {
    ...{ connection, registry, sidechannels },
    async [Symbol.asyncDispose]() {
      await Promise.all([connection.close(), sidechannels.close()]);
    },
  };
}
