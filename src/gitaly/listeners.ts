import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import { splitHostPort } from '#rpc/server/connection/host-port';
import { type ListenAddress, Listener, type ListenerOptions } from '#rpc/server/connection/listener';
import { readCertificate } from './certificate.ts';

/** Addresses of a server; an address that is not configured is `undefined`. */
export interface Addresses {
  /** `unix:<path>`. */
  readonly unix: string | undefined;
  /** `tcp://host:port`. */
  readonly tcp: string | undefined;
  /** `tls://host:port`. */
  readonly tls: string | undefined;
  /** `unix:<path>`, for hooks and the server itself. */
  readonly internal: string;
}

/**
 * Opens the sockets of a configuration, in Gitaly's order. A failure closes those that are open
 * already.
 */
export async function openListeners(
  config: GitalyConfig,
  parts: { internalSocket: string; logger: Logger; options: ListenerOptions },
): Promise<readonly Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const target of listenAddresses(config, parts.internalSocket)) {
      const listener = await Listener.listen(target, parts.options);
      listeners.push(listener);
      parts.logger.info({ address: listener.address, schema: target.transport }, 'listening at address');
    }
  } catch (error) {
    for (const listener of listeners) await listener.destroy();
    throw error;
  }
  return listeners;
}

export function addressesOf(listeners: readonly Listener[]): Addresses {
  const address = (transport: Listener['transport']): string | undefined =>
    listeners.find((listener) => listener.transport === transport)?.address;
  const [unix, tcp, tls] = [address('unix'), address('tcp'), address('tls')];
  return {
    unix: unix && `unix:${unix}`,
    tcp: tcp && `tcp://${tcp}`,
    tls: tls && `tls://${tls}`,
    internal: `unix:${address('internal')}`,
  };
}

function listenAddresses(config: GitalyConfig, internalSocket: string): ListenAddress[] {
  const { socketPath, listenAddr, tlsListenAddr } = config;
  const addresses: ListenAddress[] = [];
  if (socketPath) addresses.push({ transport: 'unix', path: socketPath });
  addresses.push({ transport: 'internal', path: internalSocket });
  if (listenAddr) addresses.push({ transport: 'tcp', ...splitHostPort(listenAddr) });
  if (tlsListenAddr)
    addresses.push({ transport: 'tls', ...splitHostPort(tlsListenAddr), tls: readCertificate(config) });
  return addresses;
}
