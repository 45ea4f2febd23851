import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { timeLeftMs } from '#base/async/time-left';
import { isError } from '#base/is-error';
import { lazyModule } from '#base/lazy-module';
import { acceptsGzip } from '#base/network/accepts-gzip';
import { framingProblem, refuseFraming } from '#base/network/http-framing';
import { createServer } from '#base/network/node-http';
import { descriptorOf } from '#base/streams/stream-handle';
import {
  type ListeningSocket,
  listenOn,
  type TakeSocket,
  tcpSocketName,
} from '../process/handover/listening-socket.ts';
import { ProfileEndpoint } from '../profiling/serve-profile.ts';
import { Rendered } from './compressed-text.ts';
import type { MetricsRegistry } from './metrics-registry.ts';
import { mergeReports, type OtherProcesses } from './process-group.ts';
import type { ProcessMetrics } from './process-metrics.ts';
import { renderSnapshot } from './registry-snapshot.ts';
import { CONTENT_TYPES } from './text-format.ts';

export interface MonitoringServerOptions {
  readonly registry: MetricsRegistry;
  /** Returns false until the server accepts calls, and again while it drains. */
  readonly isReady: () => boolean;
  /** Returns a line for each reason why the server cannot do its work now. */
  readonly problems?: () => Promise<readonly string[]>;
  /** Returns the current work of the server, for `/debug/top`. */
  readonly status?: () => Promise<object>;
  /** Metrics that are expensive to collect. */
  readonly further?: FurtherMetrics;
  /** The further processes of the server. */
  readonly others?: OtherProcesses | undefined;
  /** Default {@link REQUEST_TIMEOUT_MS}. */
  readonly requestTimeoutMs?: number;
  /** Returns the socket of the address if this process has inherited one. */
  readonly takeSocket?: TakeSocket | undefined;
}

/** Metrics with a separate endpoint, so that they can be read less often. */
export interface FurtherMetrics {
  /** `/db_metrics` */
  readonly path: string;
  readonly render: (format: Format) => Promise<string>;
  /** `/metrics` returns them as well. */
  readonly isInMetrics: boolean;
}

export interface MonitoringServer {
  /** Address of the listener, with the real port. */
  readonly address: AddressInfo;
  /** The socket for a successor; `undefined` when it is closed. */
  readonly socket: ListeningSocket | undefined;
  close(): Promise<void>;
}

/** Time that a client has to send its request, and longest stall while it reads the response. */
const REQUEST_TIMEOUT_MS = 10_000;
/**
 * Maximum number of requests on one connection, against floods. Monitoring systems send one every
 * few seconds.
 */
const MAX_REQUESTS_PER_CONNECTION = 100;
/** Connections that wait to be accepted; Node's default. */
const BACKLOG = 511;
/**
 * Minimum interval between two renderings of the metrics. A rendering takes some milliseconds of
 * the main thread.
 */
const RENDER_INTERVAL_MS = 100;

/** Names of both metrics in GitLab's programs. */
const ALIVE: ReadonlySet<string> = new Set(['/-/healthy', '/-/liveness']);
const READY: ReadonlySet<string> = new Set(['/-/ready', '/-/readiness']);

/**
 * Starts the HTTP listener for monitoring: `/metrics`, `/-/healthy` (200 while the process
 * responds), `/-/ready` (503 unless calls are accepted and
 * nothing is broken), `/debug/top` (JSON of what the server is
 * doing now) and `/debug/pprof/` (CPU and heap profiles). Any other path returns 404. There is no
 * authentication.
 *
 * @param listen address from `prometheus_listen_addr`.
 */
export async function startMonitoringServer(
  listen: { host: string; port: number },
  options: MonitoringServerOptions,
): Promise<MonitoringServer> {
  const { further } = options;
  const rendered = {
    metrics: shared(lazyMetrics(options, further?.isInMetrics ? further.render : undefined)),
    further: further && shared(async (format) => Buffer.from((await further.render(format)) + endOf(format))),
  };
  const profiles = new ProfileEndpoint(options.others);
  const requestTimeout = options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
  const limits = {
    requestTimeout,
    headersTimeout: requestTimeout,
    connectionsCheckingInterval: requestTimeout / 10,
  };
  const server = createServer(limits, (request, response) => {
    const problem = framingProblem(request);
    if (problem !== undefined) return refuseFraming(response, problem);
    answer(request, response, options, { ...rendered, profiles }).catch((error: unknown) => {
      if (response.headersSent) response.destroy();
      else send(response, 500, `${isError(error) ? error.message : error}\n`);
    });
  });
  server.maxRequestsPerSocket = MAX_REQUESTS_PER_CONNECTION;
  server.setTimeout(requestTimeout); // of silence in both directions
  const name = tcpSocketName(listen);
  const inherited = options.takeSocket?.(name, 'metrics');
  if (inherited !== undefined) await listenOn(server, inherited.fd, BACKLOG);
  else {
    const address = { port: listen.port, ...(listen.host !== '' && { host: listen.host }) };
    await once(server.listen(address), 'listening');
  }
  // A connection that could not be accepted (no descriptors left): the client retries.
  server.on('error', () => {});
  return {
    address: addressOf(server),
    get socket() {
      const fd = descriptorOf(server);
      // Two processes that respond in turns would confuse the counters.
      const handOver = (): void => void server.close();
      return fd === undefined ? undefined : { name, fd, keepsFile: false, handOver };
    },
    close: () => close(server),
  };
}

type Format = 'openmetrics' | 'text';
type Render = (format: Format) => Promise<Rendered>;

const loadProcessMetrics = lazyModule(() => import('./process-metrics.ts'));

/** Loads the process metrics at the first request. OpenMetrics is returned only on request. */
function lazyMetrics(
  { registry, others }: Pick<MonitoringServerOptions, 'others' | 'registry'>,
  further: FurtherMetrics['render'] | undefined,
) {
  let loading: Promise<ProcessMetrics> | undefined;
  return async (format: Format): Promise<Buffer> => {
    loading ??= loadProcessMetrics().then((module) => new module.ProcessMetrics());
    const processMetrics = await loading;
    const more = (await further?.(format)) ?? '';
    if (others !== undefined) {
      const own = { registry: registry.snapshot(), process: await processMetrics.snapshot() };
      return Buffer.from(renderSnapshot(await mergeReports(own, others), format) + more + endOf(format));
    }
    const ofProcess = await processMetrics.render(format);
    return Buffer.from(registry.render(format) + more + ofProcess + endOf(format));
  };
}

const endOf = (format: Format): string => (format === 'openmetrics' ? '# EOF\n' : '');

/**
 * Shares one rendering among all requests that arrive within the interval or during the previous
 * rendering, so that many requests take no more time than a few.
 */
function shared(render: (format: Format) => Promise<Buffer>): Render {
  const next = new Map<Format, Promise<Rendered>>();
  let last: Promise<unknown> = Promise.resolve();
  let earliestMs = 0;
  const renderAfter = async (previous: Promise<unknown>, format: Format): Promise<Rendered> => {
    await previous;
    await sleep(timeLeftMs(earliestMs));
    // A request that arrives from here on must see later events.
    next.delete(format);
    try {
      return new Rendered(await render(format));
    } finally {
      earliestMs = performance.now() + RENDER_INTERVAL_MS;
    }
  };
  return (format) => {
    const waiting = next.get(format);
    if (waiting !== undefined) return waiting;
    const rendering = renderAfter(last, format);
    last = rendering.catch(() => {}); // its requests report it
    next.set(format, rendering);
    return rendering;
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: MonitoringServerOptions,
  {
    further,
    metrics,
    profiles,
  }: {
    readonly metrics: Render;
    readonly further: Render | undefined;
    readonly profiles: ProfileEndpoint;
  },
): Promise<void> {
  const [path = ''] = (request.url ?? '').split('?', 1);
  if (request.method !== 'GET' && request.method !== 'HEAD') send(response, 405, 'method not allowed\n');
  else if (path === '/metrics' || (further && path === options.further?.path)) {
    const format = request.headers.accept?.includes('application/openmetrics-text') ? 'openmetrics' : 'text';
    const render = path === '/metrics' ? metrics : (further ?? metrics);
    response.setHeader('vary', 'accept, accept-encoding');
    await sendRendered(request, response, await render(format), CONTENT_TYPES[format]);
  } else if (ALIVE.has(path)) send(response, 200, 'ok\n');
  else if (READY.has(path)) await sendReadiness(response, options);
  else if (path === '/debug/top' && options.status !== undefined)
    send(response, 200, `${JSON.stringify(await options.status())}\n`, 'application/json');
  else if (!(await profiles.serve(request, response))) send(response, 404, '404 page not found\n');
}

async function sendReadiness(
  response: ServerResponse,
  { isReady, problems }: MonitoringServerOptions,
): Promise<void> {
  const reasons = (await problems?.()) ?? [];
  const isOk = isReady() && reasons.length === 0;
  const text = [isOk ? 'ready' : 'not ready', ...reasons].join('\n');
  send(response, isOk ? 200 : 503, `${text}\n`);
}

/** Sends the metrics, compressed if the client accepts that: they are a tenth then. */
async function sendRendered(
  request: IncomingMessage,
  response: ServerResponse,
  rendered: Rendered,
  contentType: string,
): Promise<void> {
  if (!acceptsGzip(request.headers['accept-encoding']))
    return send(response, 200, rendered.plain, contentType);
  const body = await rendered.compressed();
  response.setHeader('content-encoding', 'gzip');
  send(response, 200, body, contentType);
}

function send(
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  contentType = 'text/plain; charset=utf-8',
): void {
  response.writeHead(status, { 'content-type': contentType, 'content-length': Buffer.byteLength(body) });
  response.end(body);
}

function addressOf(server: Server): AddressInfo {
  const address = server.address();
  if (address === null || typeof address === 'string')
    throw new Error('the monitoring server has no TCP address');
  return address;
}

async function close(server: Server): Promise<void> {
  const closed = new Promise((resolve) => server.close(resolve));
  server.closeAllConnections();
  await closed;
}
