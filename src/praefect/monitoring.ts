import type { Logger } from '#platform/log/logger';
import type { MonitoringServer, MonitoringServerOptions } from '#platform/metrics/monitoring-server';
import { splitHostPort } from '#rpc/server/connection/host-port';
import type { PraefectConfig } from './config/schema.ts';

/** Starts the listener for monitoring, if there is an address for it. */
export async function startMonitoring(
  { prometheusListenAddr }: PraefectConfig,
  logger: Logger,
  options: MonitoringServerOptions,
): Promise<MonitoringServer | undefined> {
  if (prometheusListenAddr === undefined) return undefined;
  const { startMonitoringServer } = await import('#platform/metrics/monitoring-server');
  const running = await startMonitoringServer(splitHostPort(prometheusListenAddr), options);
  logger.info(
    { address: `${running.address.address}:${running.address.port}` },
    'starting prometheus listener',
  );
  return running;
}
