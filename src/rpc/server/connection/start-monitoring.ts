import { joinHostPort, splitHostPort } from '#base/go/net/host-port';
import type { Logger } from '#platform/log/logger';
import type { MonitoringServer, MonitoringServerOptions } from '#platform/metrics/monitoring-server';

/** Starts the monitoring server at `prometheus_listen_addr`; `undefined` if there is none. */
export async function startMonitoring(
  address: string | undefined,
  logger: Logger,
  options: MonitoringServerOptions,
): Promise<MonitoringServer | undefined> {
  if (!address) return undefined;
  // Loaded only if needed, because it includes Node's HTTP server.
  const { startMonitoringServer } = await import('#platform/metrics/monitoring-server');
  const running = await startMonitoringServer(splitHostPort(address), options);
  logger.info(
    { address: joinHostPort(running.address.address, running.address.port) },
    'starting prometheus listener',
  );
  return running;
}
