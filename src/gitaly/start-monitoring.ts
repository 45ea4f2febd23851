import type { GitalyConfig } from '#platform/config/load-config';
import type { Logger } from '#platform/log/logger';
import type { MonitoringServer, MonitoringServerOptions } from '#platform/metrics/monitoring-server';
import { splitHostPort } from '#rpc/server/connection/host-port';

/** Starts the monitoring server at `prometheus_listen_addr`; `undefined` if there is none. */
export async function startMonitoring(
  config: GitalyConfig,
  logger: Logger,
  options: MonitoringServerOptions,
): Promise<MonitoringServer | undefined> {
  if (!config.prometheusListenAddr) return undefined;
  // Loaded only if needed, because it includes Node's HTTP server.
  const { startMonitoringServer } = await import('#platform/metrics/monitoring-server');
  const running = await startMonitoringServer(splitHostPort(config.prometheusListenAddr), options);
  logger.info({ address: joinHostPort(running.address) }, 'starting prometheus listener');
  return running;
}

/** Returns the address as in a URL. */
export function joinHostPort({ family, address, port }: MonitoringServer['address']): string {
  return `${family === 'IPv6' ? `[${address}]` : address}:${port}`;
}
