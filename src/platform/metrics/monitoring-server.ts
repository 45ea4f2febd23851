import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { MetricsRegistry } from './metrics-registry.ts';
import type { ProcessMetrics } from './process-metrics.ts';
import { CONTENT_TYPES } from './text-format.ts';

export interface MonitoringServerOptions {
  readonly registry: MetricsRegistry;
  /** False until the server takes calls, and again while it drains. */
  readonly isReady: () => boolean;
}

export interface MonitoringServer {
  /** Where it listens, with the real port. */
  readonly address: AddressInfo;
  close(): Promise<void>;
}

/** How long a client may take to send its request. */
const REQUEST_TIMEOUT_MS = 10_000;

/**
 * The HTTP listener for machines that watch the server: `/metrics`, `/-/healthy` (200 as long as the process answers) and
 * `/-/ready` (503 unless calls are taken). Anything else is 404. There is no authentication.
 *
 * @param listen where, from `prometheus_listen_addr`.
 */
export async function startMonitoringServer(
  listen: { host: string; port: number },
  options: MonitoringServerOptions,
): Promise<MonitoringServer> {
  const metrics = lazyMetrics(options.registry);
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS, headersTimeout: REQUEST_TIMEOUT_MS }, (request, response) => {
    answer(request, response, options, metrics).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else send(response, 500, `${error instanceof Error ? error.message : error}\n`);
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port: listen.port, ...(listen.host !== '' && { host: listen.host }) }, resolve);
  });
  return { address: addressOf(server), close: () => close(server) };
}

type Render = (accept: string) => Promise<{ contentType: string; body: string }>;

/** Loads the metrics of the process with the first request; OpenMetrics is for those who ask for it. */
function lazyMetrics(registry: MetricsRegistry): Render {
  let loading: Promise<ProcessMetrics> | undefined;
  return async (accept) => {
    loading ??= import('./process-metrics.ts').then((module) => new module.ProcessMetrics());
    const format = accept.includes('application/openmetrics-text') ? 'openmetrics' : 'text';
    const ofProcess = await (await loading).render(format);
    const end = format === 'openmetrics' ? '# EOF\n' : '';
    return { contentType: CONTENT_TYPES[format], body: registry.render(format) + ofProcess + end };
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: MonitoringServerOptions,
  metrics: Render,
): Promise<void> {
  const path = (request.url ?? '').replace(/\?.*$/, '');
  if (request.method !== 'GET' && request.method !== 'HEAD') send(response, 405, 'method not allowed\n');
  else if (path === '/metrics') {
    const { contentType, body } = await metrics(request.headers.accept ?? '');
    send(response, 200, body, contentType);
  } else if (path === '/-/healthy') send(response, 200, 'ok\n');
  else if (path === '/-/ready') send(response, options.isReady() ? 200 : 503, options.isReady() ? 'ready\n' : 'not ready\n');
  else send(response, 404, '404 page not found\n');
}

function send(response: ServerResponse, status: number, body: string, contentType = 'text/plain; charset=utf-8'): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the monitoring server has no TCP address');
  return address;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
