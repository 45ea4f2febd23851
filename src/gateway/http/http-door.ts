import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { type GitalyAddress, linkGitaly } from './gitaly-link.ts';
import { RequestServer, type RequestServerOptions } from './request-server.ts';

export interface HttpDoorOptions extends Omit<RequestServerOptions, 'link'> {
  readonly gitaly: GitalyAddress;
  /** Port 0 takes a free one. */
  readonly listen: { readonly host: string; readonly port: number };
  readonly limits?: Partial<HttpLimits>;
}

export interface HttpLimits {
  /** Time for the head of a request. */
  readonly headersTimeoutMs: number;
  /** A connection on which nothing moves for so long is cut. Hooks may run that long without a word. */
  readonly idleTimeoutMs: number;
  /** A connection that may serve another request is kept so long. */
  readonly keepAliveTimeoutMs: number;
  /** All header lines of a request. */
  readonly maxHeaderBytes: number;
}

/** A running door. */
export interface HttpDoor extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `http://HOST:PORT` */
  readonly url: string;
  /** Takes no new connections, waits `graceMs` for running requests, cuts what is left. */
  close(options?: { graceMs?: number }): Promise<void>;
}

const LIMITS: HttpLimits = {
  headersTimeoutMs: 30_000,
  idleTimeoutMs: 15 * 60_000,
  keepAliveTimeoutMs: 65_000,
  maxHeaderBytes: 32 * 1024,
};

/**
 * Opens a smart-HTTP door in front of a Gitaly: plain `git clone`, `fetch` and `push`. Like Workhorse it knows Gitaly by its RPCs
 * only.
 *
 * @throws the system's error when the address cannot be listened on (EADDRINUSE …).
 */
export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const link = await linkGitaly(options.gitaly);
  const requests = new RequestServer({ ...options, link });
  const server = createHttpServer(requests, { ...LIMITS, ...options.limits });
  try {
    await listen(server, options.listen);
  } catch (error) {
    await link.connection.close();
    throw error;
  }

  // A TCP server that listens has an address of this shape.
  const { port } = server.address() as AddressInfo;
  const { host } = options.listen;
  const close = async ({ graceMs = 0 }: { graceMs?: number } = {}) => {
    await closeServer(server, graceMs);
    await link.connection.close();
  };
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return { host, port, url, close, [Symbol.asyncDispose]: () => close() };
}

function createHttpServer(requests: RequestServer, limits: HttpLimits): Server {
  const server = createServer({
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: 0, // a large push may take hours; the idle time-out catches the dead
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5000),
  });
  server.setTimeout(limits.idleTimeoutMs);
  server.on('request', (request, response) => void requests.serve(request, response, () => {}));
  server.on('checkContinue', (request, response) => void requests.serve(request, response, () => response.writeContinue()));
  return server;
}

async function listen(server: Server, { host, port }: HttpDoorOptions['listen']): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  server.once('error', reject);
  server.listen({ host, port }, resolve);
  await promise;
  server.off('error', reject);
}

/** A connection that a finished request leaves open is idle, and nothing but this closes it. */
const CLOSE_IDLE_EVERY_MS = 20;

async function closeServer(server: Server, graceMs: number): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
