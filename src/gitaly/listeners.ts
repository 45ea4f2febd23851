import type { GitalyConfig } from '#platform/config/load-config';
import type { ListenAddress, Listener } from '#rpc/server/connection/listener';
import { tcpAddresses } from '#rpc/server/connection/open-listeners';

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

/** Returns where a server listens, in Gitaly's order. */
export function listenAddresses(config: GitalyConfig, internalSocket: string): readonly ListenAddress[] {
  const { socketPath } = config;
  return [
    ...(socketPath ? [{ transport: 'unix', path: socketPath } as const] : []),
    { transport: 'internal', path: internalSocket },
    ...tcpAddresses(config),
  ];
}
