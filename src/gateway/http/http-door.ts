import { createServer, type Server, type ServerOptions } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type GitalyAddress, linkGitaly } from '../gitaly-link.ts';
import { type ListenAddress, listen } from '../listen.ts';
import { answerClientError } from './client-error.ts';
import { DEFAULT_HTTP_LIMITS, type HttpLimits } from './limits/http-limits.ts';
import { RequestServer, type RequestServerOptions } from './request-server.ts';
import { createTlsServer, type TlsFiles } from './tls-server.ts';

export interface HttpDoorOptions extends Omit<RequestServerOptions, 'link' | 'limits'> {
  readonly gitaly: GitalyAddress;
  readonly listen: ListenAddress;
  /** Speak HTTPS with this certificate; changed files are taken up within seconds. Default: plain HTTP. */
  readonly tls?: TlsFiles;
  readonly limits?: Partial<HttpLimits>;
  /** Told of what an operator should mend while the door runs: a changed certificate that cannot be used, connections that cannot be taken. */
  readonly onProblem?: (error: unknown) => void;
}

/** A running door. */
export interface HttpDoor extends AsyncDisposable {
  readonly host: string;
  readonly port: number;
  /** `http://HOST:PORT` or `https://HOST:PORT` */
  readonly url: string;
  /** Takes no new connections, waits `graceMs` for running requests, cuts what is left. */
  close(options?: { graceMs?: number }): Promise<void>;
}

/** Fewer window updates and wake-ups for a clone than with the 256 KiB of Gitaly's own clients; bounds the memory of one clone. */
const STREAM_WINDOW_BYTES = 1024 * 1024;

/**
 * Opens a smart-HTTP door in front of a Gitaly: plain `git clone`, `fetch` and `push`. Like Workhorse it knows Gitaly by its RPCs
 * only.
 *
 * @throws the system's error when the address cannot be listened on (EADDRINUSE …), what is wrong with a certificate, {TypeError} for
 *   a trusted proxy that is no network.
 */
export async function openHttpDoor(options: HttpDoorOptions): Promise<HttpDoor> {
  const limits = { ...DEFAULT_HTTP_LIMITS, ...options.limits };
  const link = await linkGitaly(options.gitaly, STREAM_WINDOW_BYTES);
  let server: Server | TlsServer;
  try {
    server = await createHttpServer(new RequestServer({ ...options, limits, link }), limits, options);
    await listen(server, options.listen, options.onProblem ?? (() => {}));
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
  const url = `${options.tls === undefined ? 'http' : 'https'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  return { host, port, url, close, [Symbol.asyncDispose]: () => close() };
}

async function createHttpServer(
  requests: RequestServer,
  limits: HttpLimits,
  { onProblem = () => {}, tls }: HttpDoorOptions,
): Promise<Server | TlsServer> {
  const options: ServerOptions = {
    headersTimeout: limits.headersTimeoutMs,
    requestTimeout: 0, // a body has limits of its own, which know whether we or the client are slow
    keepAliveTimeout: limits.keepAliveTimeoutMs,
    maxHeaderSize: limits.maxHeaderBytes,
    connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5000),
  };
  const handshake = { handshakeTimeout: limits.headersTimeoutMs };
  const server =
    tls === undefined
      ? createServer(options)
      : await createTlsServer({ ...tls, server: { ...options, ...handshake }, onProblem });
  server.maxConnections = limits.maxConnections;
  server.setTimeout(limits.idleTimeoutMs);

  const answering = new WeakSet<Duplex>();
  const serve = async (...[request, response, invite]: Parameters<RequestServer['serve']>): Promise<void> => {
    answering.add(request.socket);
    response.once('close', () => answering.delete(request.socket));
    await requests.serve(request, response, invite);
  };
  server.on('request', (request, response) => void serve(request, response, () => {}));
  server.on('checkContinue', (request, response) => void serve(request, response, () => response.writeContinue()));
  server.on('clientError', (error, socket) => answerClientError(error, socket, answering.has(socket)));
  return server;
}

/** A connection that a finished request leaves open is idle, and nothing but this closes it. */
const CLOSE_IDLE_EVERY_MS = 20;

async function closeServer(server: Server | TlsServer, graceMs: number): Promise<void> {
  const { promise: closed, resolve } = Promise.withResolvers<void>();
  server.close(() => resolve());
  server.closeIdleConnections();
  const idle = setInterval(() => server.closeIdleConnections(), CLOSE_IDLE_EVERY_MS);
  const cut = setTimeout(() => server.closeAllConnections(), graceMs);
  await closed;
  clearInterval(idle);
  clearTimeout(cut);
}
