import { splitHostPort } from '#base/go/net/host-port';
import type { Logger } from '#platform/log/logger';
import { type CertificateConfig, readCertificate } from './certificate.ts';
import { Listener, type ListenerOptions, type ListenTarget } from './listener.ts';

export interface TcpListeners {
  readonly listenAddr: string | undefined;
  readonly tlsListenAddr: string | undefined;
  readonly tls: CertificateConfig;
}

/** Where a server listens. */
export interface ListenConfig extends TcpListeners {
  readonly socketPath: string | undefined;
}

/**
 * Returns where a server listens, in the order of opening. The internal socket comes first, since
 * calls from outside start hooks that need it; the others are in Gitaly's order.
 *
 * @param internalSocket path of the socket for the server's own child processes, if it has one.
 */
export function listenAddresses(
  config: ListenConfig,
  internalSocket: string | undefined,
): readonly ListenTarget[] {
  const { socketPath } = config;
  return [
    ...(internalSocket === undefined ? [] : [{ transport: 'internal', path: internalSocket } as const]),
    ...(socketPath ? [{ transport: 'unix', path: socketPath } as const] : []),
    ...tcpAddresses(config),
  ];
}

/**
 * Returns the TCP addresses of a configuration, without TLS and with it.
 *
 * @throws {GitalyError} for an address that is none, or a certificate that cannot be read.
 */
export function tcpAddresses({ listenAddr, tls, tlsListenAddr }: TcpListeners): readonly ListenTarget[] {
  const addresses: ListenTarget[] = [];
  if (listenAddr) addresses.push({ transport: 'tcp', ...splitHostPort(listenAddr) });
  if (tlsListenAddr)
    addresses.push({ transport: 'tls', ...splitHostPort(tlsListenAddr), tls: readCertificate(tls) });
  return addresses;
}

/** Opens sockets in this order. A failure closes those that are open already. */
export async function openListeners(
  addresses: readonly ListenTarget[],
  { logger, options }: { readonly logger: Logger; readonly options: ListenerOptions },
): Promise<readonly Listener[]> {
  const listeners: Listener[] = [];
  try {
    for (const address of addresses) {
      const listener = await Listener.listen(address, options);
      listeners.push(listener);
      if (options.sharing?.role !== 'worker')
        logger.info({ address: listener.address, schema: address.transport }, 'listening at address');
    }
  } catch (error) {
    for (const listener of listeners) await listener.destroy();
    throw error;
  }
  return listeners;
}
