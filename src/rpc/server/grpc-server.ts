import type { IncomingHttpHeaders } from 'node:http2';
import type { Duplex } from 'node:stream';
import { GitalyError } from '#base/gitaly-error';
import { BriefSet } from '#base/memory/brief-set';
import type { ClientSession, CommonHeaders } from '#rpc/common/grpc/client-session';
import { ACCEPTED_ENCODINGS, parseEncoding } from '#rpc/common/grpc/grpc-compression';
import { MAX_RECEIVE_MESSAGE_BYTES } from '#rpc/common/grpc/grpc-frame';
import { parseGrpcTimeout } from '#rpc/common/grpc/grpc-timeout';
import { IncomingFrames } from '#rpc/common/grpc/incoming-frames';
import { GRPC_ACCEPT_ENCODING, GRPC_ENCODING, GRPC_TIMEOUT } from '#rpc/common/header-names';
import { Metadata } from '#rpc/common/metadata';
import { ActiveCall } from './call/active-call.ts';
import { respondText, respondTrailersOnly } from './call/response-writer.ts';
import type { ServerStream } from './call/server-stream.ts';
import { CallContext, type ContextExtras } from './call-context.ts';
import { CallStarts } from './call-starts.ts';
import { ABORT_GRACE_MS } from './connection/connection-limits.ts';
import { ReadingTurns, TurnReader } from './connection/reading-turns.ts';
import { DEFAULT_KEEPALIVE, type KeepalivePolicy, ServerConnection } from './connection/server-connection.ts';
import { errorHeaders } from './error-headers.ts';
import type { Peer, ServedService } from './handler.ts';
import { LocalSession } from './local/local-session.ts';
import { type CallRefusal, refusalOf } from './refusal.ts';
import { ConnectionRequestLimits, RequestLimits } from './request-limits.ts';
import { type CallRoute, type RawMethod, rawRoute, routesOf } from './route.ts';
import type { ServerInterceptor } from './server-call.ts';

export interface GrpcServerOptions {
  readonly services: readonly ServedService[];
  /** Outermost first. */
  readonly interceptors?: readonly ServerInterceptor[];
  /** Default 4 MiB, gRPC's default. */
  readonly maxReceiveMessageBytes?: number;
  readonly keepalive?: Partial<KeepalivePolicy>;
  /** Properties of contexts that the transport does not provide: flags, sidechannels. */
  readonly contextExtras?: ContextExtras;
  /**
   * Returns the handler for a method of no registered service; `undefined` for UNIMPLEMENTED. Not
   * called again for a method that has one.
   */
  readonly unknownMethod?: (path: string) => RawMethod | undefined;
  /** Called for connections that ended with an error. */
  readonly onConnectionError?: (error: Error, peer: Peer) => void;
}

const EXPLANATION =
  'This port serves gRPC for clients of Gitaly. Browsers and git use the HTTP gateway: gitaly-ts up\n';
/** The same for HTTP/1, of which this port understands nothing else. */
const HTTP_1_ANSWER =
  'HTTP/1.1 505 HTTP Version Not Supported\r\nContent-Type: text/plain; charset=utf-8\r\n' +
  `Content-Length: ${EXPLANATION.length}\r\nConnection: close\r\n\r\n${EXPLANATION}`;
const ROUTE_PATH = /^\/(?<service>[^/]+)\/(?<method>[^/]+)$/;

/** Serves gRPC on accepted connections. */
export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #interceptors: readonly ServerInterceptor[];
  readonly #maxMessageBytes: number;
  readonly #keepalive: KeepalivePolicy;
  readonly #extras: ContextExtras;
  readonly #routes = new Map<string, CallRoute>();
  readonly #services = new Set<string>();
  readonly #connections = new Set<ServerConnection>();
  readonly #calls = new BriefSet<ActiveCall>();
  /**
   * Callers that wait for the last call and connection to end; a second, harder stop may join the
   * first.
   */
  readonly #idleWaiters = new Set<() => void>();
  readonly #starts = new CallStarts<object>();
  readonly #localSessions = new Set<LocalSession>();
  readonly #reading = new ReadingTurns();
  readonly #requestLimits = new RequestLimits();
  #state: 'serving' | 'draining' | 'stopping' = 'serving';

  constructor(options: GrpcServerOptions) {
    this.#options = options;
    this.#interceptors = options.interceptors ?? [];
    this.#maxMessageBytes = options.maxReceiveMessageBytes ?? MAX_RECEIVE_MESSAGE_BYTES;
    this.#keepalive = { ...DEFAULT_KEEPALIVE, ...options.keepalive };
    this.#extras = options.contextExtras ?? {};
    for (const served of options.services) {
      this.#services.add(served.service.typeName);
      for (const route of routesOf(served)) this.#routes.set(route.method.path, route);
    }
  }

  /** Number of calls that have started and not yet sent their status. */
  get activeCalls(): number {
    return this.#calls.size;
  }

  get connections(): number {
    return this.#connections.size;
  }

  /**
   * Serves HTTP/2 on a connection until either side closes it. The server then owns the duplex. A
   * connection that was accepted just before a drain gets its handshake and its first calls.
   */
  serveConnection(duplex: Duplex, peer: Peer): void {
    if (this.#state === 'stopping' || duplex.destroyed) {
      duplex.destroy();
      return;
    }
    if (isGetOfHttp1(duplex)) {
      duplex.on('error', ignore);
      duplex.end(HTTP_1_ANSWER, () => duplex.destroy());
      this.#options.onConnectionError?.(new Error('a request of HTTP/1'), peer);
      return;
    }
    const limits = new ConnectionRequestLimits(this.#requestLimits);
    const reader = new TurnReader(duplex);
    const connection: ServerConnection = new ServerConnection(duplex, this.#keepalive, {
      onStream: (stream, headers, rawHeaders) => {
        this.#reading.onStream(reader);
        stream.on('error', ignore); // a reset by the peer; the call learns of it by 'aborted'
        this.#starts.add(connection, () => {
          if (stream.destroyed || stream.closed) return false; // reset before it was handled
          const incoming = this.#accept({ connection, peer, limits }, stream, headers, rawHeaders);
          incoming?.readFrom(stream);
          return true;
        });
      },
      onClose: (error) => {
        this.#connections.delete(connection);
        if (error !== undefined) this.#options.onConnectionError?.(error, peer);
        this.#checkIdle();
      },
    });
    this.#connections.add(connection);
    if (this.#state === 'draining') connection.drainAfterHandshake();
  }

  /**
   * Opens a session for a client in this process.
   *
   * @throws {Error} when the server stops.
   */
  openSession(common: CommonHeaders, peer: Peer): ClientSession {
    if (this.#state !== 'serving') throw new Error('the server has stopped');
    const limits = new ConnectionRequestLimits(this.#requestLimits);
    const session: LocalSession = new LocalSession(common, (stream, rawHeaders) =>
      this.#starts.add(session, () => {
        if (stream.destroyed) return false;
        const accepting = { connection: LOCAL, peer, limits };
        const incoming = this.#accept(accepting, stream, headersOf(rawHeaders), rawHeaders);
        if (incoming !== undefined)
          stream.start(
            (chunk) => incoming.receive(chunk),
            () => incoming.end(),
          );
        return true;
      }),
    );
    this.#localSessions.add(session);
    void session.closed.then(() => {
      this.#localSessions.delete(session);
      this.#checkIdle();
    });
    return session;
  }

  /**
   * Stops the server: no new connections, GOAWAY on the open ones. Running calls may finish for
   * `graceMs`; then they are aborted (UNAVAILABLE) and the connections closed. Resolves when all
   * handlers are done, at most 5 s after that.
   *
   * @param options.arriving resolves when no connections come any more; those that come before are
   *   served with their first calls.
   */
  async shutdown({ graceMs, arriving }: { graceMs: number; arriving?: Promise<void> }): Promise<void> {
    if (this.#state === 'serving') this.#state = 'draining';
    if (graceMs === 0) this.#state = 'stopping';
    for (const connection of this.#connections) connection.drain();
    for (const session of this.#localSessions) session.close();
    await arriving;
    if (await this.#idleWithin(graceMs)) return;
    this.#state = 'stopping';
    for (const call of this.#calls)
      call.context.abort(new GitalyError('UNAVAILABLE', 'server is shutting down'));
    // lets handlers that only waited for the signal send their status
    await new Promise(setImmediate);
    for (const connection of this.#connections) connection.destroy();
    for (const session of this.#localSessions) session.destroy();
    await this.#idleWithin(ABORT_GRACE_MS);
  }

  /**
   * Ends the connection with the most calls since the last time gracefully, so that its client
   * opens another one. Returns false unless two connections had calls.
   *
   * @param which `any`: even if only one had calls.
   */
  moveConnection(which: 'of several' | 'any'): boolean {
    const active = [...this.#connections].filter(
      ({ isDraining, recentCalls }) => !isDraining && recentCalls > 0,
    );
    const [busiest] = active.toSorted((a, b) => b.recentCalls - a.recentCalls);
    for (const connection of active) connection.recentCalls = 0;
    if (busiest === undefined || (which === 'of several' && active.length < 2)) return false;
    busiest.drain();
    return true;
  }

  #idleWithin(waitMs: number): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = setTimeout(() => settle(false), waitMs);
      const settle = (isIdle: boolean): void => {
        clearTimeout(timer);
        this.#idleWaiters.delete(onIdle);
        resolve(isIdle);
      };
      const onIdle = (): void => settle(true);
      this.#idleWaiters.add(onIdle);
      this.#checkIdle();
    });
  }

  #checkIdle(): void {
    // A session also has the calls that wait to start.
    if (this.#connections.size > 0 || this.#localSessions.size > 0 || this.#calls.size > 0) return;
    for (const onIdle of [...this.#idleWaiters]) onIdle();
  }

  #accept(
    { connection, peer, limits }: Accepting,
    stream: ServerStream,
    headers: IncomingHttpHeaders,
    rawHeaders: string[],
  ): IncomingFrames | undefined {
    const timeout = single(headers[GRPC_TIMEOUT]);
    const timeoutMs = timeout === undefined ? undefined : (parseGrpcTimeout(timeout) ?? Number.NaN);
    const refusal = refusalOf(headers, rawHeaders, timeoutMs);
    if (refusal !== undefined) {
      if (headers[':method'] === 'GET') explain(stream, refusal);
      else refuse(stream, refusal.error, refusal.httpStatus);
      return undefined;
    }
    const metadata = Metadata.fromWire(rawHeaders);
    const path = headers[':path'] ?? '';
    const route = this.#routes.get(path) ?? this.#unknownRoute(path);
    if (route instanceof GitalyError) {
      refuse(stream, route);
      return undefined;
    }
    const encoding = parseEncoding(single(headers[GRPC_ENCODING]));
    if (encoding === undefined) {
      const named = single(headers[GRPC_ENCODING]);
      const text = `grpc: Decompressor is not installed for grpc-encoding "${named}"`;
      respondTrailersOnly(stream, {
        ...errorHeaders(new GitalyError('UNIMPLEMENTED', text), Number.POSITIVE_INFINITY),
        [GRPC_ACCEPT_ENCODING]: ACCEPTED_ENCODINGS,
      });
      return undefined;
    }
    const deadlineMs = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
    const incoming = new IncomingFrames(stream, this.#maxMessageBytes, limits);
    incoming.encoding = encoding;
    const context = new CallContext(route.method, metadata, peer, deadlineMs, this.#extras);
    if (peer.isLocal !== true) connection.recentCalls++; // a local one stays in this process
    const { onSent } = connection;
    const call = new ActiveCall({ route, context, stream, incoming, limits, onSent });
    const member = this.#calls.add(call);
    call.run(this.#interceptors, () => {
      this.#calls.delete(member);
      if (this.#idleWaiters.size > 0) this.#checkIdle();
    });
    return incoming;
  }

  #unknownRoute(path: string): CallRoute | GitalyError {
    const { service, method } = ROUTE_PATH.exec(path)?.groups ?? {};
    if (service === undefined || method === undefined)
      return new GitalyError('UNIMPLEMENTED', `malformed method name: ${JSON.stringify(path)}`);
    if (this.#services.has(service))
      return new GitalyError('UNIMPLEMENTED', `unknown method ${method} for service ${service}`);
    const raw = this.#options.unknownMethod?.(path);
    if (raw === undefined) return new GitalyError('UNIMPLEMENTED', `unknown service ${service}`);
    const route = rawRoute(raw);
    this.#routes.set(path, route);
    return route;
  }
}

/** A session in this process has no pings, and stays in it. */
const LOCAL: Accepting['connection'] = { recentCalls: 0, onSent: ignore };

/** The connection that a call comes from. */
interface Accepting {
  readonly connection: Pick<ServerConnection, 'onSent' | 'recentCalls'>;
  readonly peer: Peer;
  readonly limits: ConnectionRequestLimits;
}

function refuse(stream: ServerStream, error: GitalyError, httpStatus = 200): void {
  stream.resume();
  respondTrailersOnly(stream, errorHeaders(error, Number.POSITIVE_INFINITY), httpStatus);
}

/** Tells a person with a browser or curl what this port is for. */
function explain(stream: ServerStream, { error, httpStatus }: CallRefusal): void {
  stream.resume();
  respondText(stream, errorHeaders(error, Number.POSITIVE_INFINITY), httpStatus, EXPLANATION);
}

/** Reports whether the bytes that have arrived are a request of a browser or curl in HTTP/1. */
function isGetOfHttp1(duplex: Duplex): boolean {
  const start: Buffer | null = duplex.read();
  if (start === null) return false;
  duplex.unshift(start);
  return start.subarray(0, 5).equals(Buffer.from('GET /'));
}

/** Returns headers as `node:http2` passes them. */
function headersOf(pairs: readonly string[]): IncomingHttpHeaders {
  const headers: IncomingHttpHeaders = {};
  for (let at = 0; at < pairs.length; at += 2) headers[pairs[at] ?? ''] ??= pairs[at + 1];
  return headers;
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}

function ignore(): void {}
