import type { Server, ServerOptions } from 'node:http';
import type { Server as TlsServer } from 'node:https';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { framingProblem, refuseFraming } from '#base/network/http-framing';
import { createServer } from '#base/network/node-http';
import type { HttpLimits } from './limits/http-limits.ts';
import type { RequestServer } from './request-server.ts';
import { createTlsServer, type TlsFiles } from './tls-server.ts';

export interface HttpConnectionsOptions {
  readonly requests: RequestServer;
  readonly limits: HttpLimits;
  /** Default: plain HTTP. */
  readonly tls?: TlsFiles | undefined;
  readonly onProblem: (error: unknown) => void;
}

/** HTTP on accepted connections, with TLS or without. */
export class HttpConnections {
  /** It does not listen itself. */
  readonly #server: Server | TlsServer;
  /** Loads a changed certificate now. */
  readonly renewTls: () => Promise<void>;

  private constructor(server: Server | TlsServer, renewTls: () => Promise<void>) {
    this.#server = server;
    this.renewTls = renewTls;
  }

  /** @throws when the certificate cannot be used. */
  static async open(options: HttpConnectionsOptions): Promise<HttpConnections> {
    const { limits, onProblem, requests, tls } = options;
    const serverOptions: ServerOptions = {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: 0, // a body has its own limits, which distinguish a slow client from a slow server
      keepAliveTimeout: limits.keepAliveTimeoutMs,
      maxHeaderSize: limits.maxHeaderBytes,
      connectionsCheckingInterval: Math.min(limits.headersTimeoutMs, 5000),
    };
    const handshake = { handshakeTimeout: limits.headersTimeoutMs };
    const { renewTls, server } =
      tls === undefined
        ? { server: createServer(serverOptions), renewTls: () => Promise.resolve() }
        : await createTlsServer({ ...tls, server: { ...serverOptions, ...handshake }, onProblem });
    server.setTimeout(limits.idleTimeoutMs);
    serveRequests(server, requests);
    server.emit('listening'); // starts to watch the time for headers; connections come by `serve`
    return new HttpConnections(server, renewTls);
  }

  serve(socket: Socket): void {
    this.#server.emit('connection', socket);
  }

  /** Closes connections without a request. */
  closeIdle(): void {
    this.#server.closeIdleConnections();
  }

  /** Releases what belongs to no connection. */
  close(): void {
    this.#server.close();
  }
}

function serveRequests(server: Server | TlsServer, requests: RequestServer): void {
  const answering = new WeakSet<Duplex>();
  const serve = async (
    ...[request, response, sendContinue]: Parameters<RequestServer['serve']>
  ): Promise<void> => {
    answering.add(request.socket);
    const problem = framingProblem(request);
    if (problem !== undefined) return refuseFraming(response, problem);
    response.once('close', () => answering.delete(request.socket));
    await requests.serve(request, response, sendContinue);
  };
  server.on('request', (request, response) => void serve(request, response, () => {}));
  server.on(
    'checkContinue',
    (request, response) => void serve(request, response, () => response.writeContinue()),
  );
  server.on('clientError', (error, socket) => answerClientError(error, socket, answering.has(socket)));
}

/** Responds to bytes that are not a valid HTTP request. */
export function answerClientError(error: NodeJS.ErrnoException, socket: Duplex, isAnswering: boolean): void {
  const answer = answerTo(error.code);
  if (answer === undefined || !socket.writable || isAnswering) {
    socket.destroy();
    return;
  }
  const [status, text] = answer;
  const body = `${text}\n`;
  socket.end(
    `HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Type: text/plain; charset=utf-8\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
    () => socket.destroy(), // further data is not needed
  );
}

function answerTo(code = ''): readonly [string, string] | undefined {
  switch (code) {
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', 'The request headers did not arrive in time.'];
    case 'HPE_HEADER_OVERFLOW':
      return ['431 Request Header Fields Too Large', 'The request headers are too large.'];
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return ['413 Content Too Large', 'The chunk extensions of the request are too large.'];
    default:
      // Only the parser's errors get a response; other errors mean a lost connection, or one that
      // does not use HTTP.
      if (!code.startsWith('HPE_')) return undefined;
      return [
        '400 Bad Request',
        'This is not an HTTP request. Check whether the address must begin with http:// or https://.',
      ];
  }
}
