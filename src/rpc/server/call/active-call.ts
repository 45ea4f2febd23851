import { constants } from 'node:http2';
import { clientMessageOf, GitalyError } from '#base/gitaly-error';
import type { IncomingFrames } from '#rpc/common/grpc/incoming-frames';
import type { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';
import type { CallContext } from '../call-context.ts';
import { ABORT_GRACE_MS } from '../connection/connection-limits.ts';
import type { ResponseSender } from '../connection/server-connection.ts';
import type { Peer } from '../handler.ts';
import { type NamedTargets, namedTargets } from '../named-targets.ts';
import type { ConnectionRequestLimits } from '../request-limits.ts';
import type { CallRoute } from '../route.ts';
import type { ServerInterceptor } from '../server-call.ts';
import { CallStages, type StagesOwner } from './call-stages.ts';
import { RequestReader, type RequestReaderOwner } from './request-reader.ts';
import { ResponseWriter, type ResponseWriterOwner } from './response-writer.ts';
import type { ServerStream } from './server-stream.ts';

export interface ActiveCallOptions {
  readonly route: CallRoute;
  readonly context: CallContext;
  readonly stream: ServerStream;
  readonly incoming: IncomingFrames;
  readonly limits: ConnectionRequestLimits;
  /** Called for headers and messages that are sent (keepalive enforcement). */
  readonly onSent: (sender: ResponseSender) => void;
}

/** One RPC from its headers to its trailers. */
export class ActiveCall implements StagesOwner, ResponseSender, RequestReaderOwner, ResponseWriterOwner {
  readonly route: CallRoute;
  readonly context: CallContext;
  readonly stream: ServerStream;
  readonly incoming: IncomingFrames;
  readonly limits: ConnectionRequestLimits;
  hasSent = false;
  readonly startedAtMs = performance.now();
  readonly arrivedAtMs = Date.now();
  targets: NamedTargets | undefined;
  readonly #requests: RequestReader;
  readonly #responses: ResponseWriter;
  readonly #stages: CallStages;
  /** True from the start of the handler until it has ended or the call has failed. */
  #isHandling = false;
  /** Set while the end of a failed call waits for its handler. */
  #onHandlerStopped: (() => void) | undefined;
  #onEnd: (() => void) | undefined;
  readonly #onSent: ActiveCallOptions['onSent'];

  constructor({ context, incoming, limits, onSent, route, stream }: ActiveCallOptions) {
    this.route = route;
    this.context = context;
    this.stream = stream;
    this.incoming = incoming;
    this.limits = limits;
    this.#onSent = onSent;
    this.#requests = new RequestReader(this);
    this.#responses = new ResponseWriter(this);
    this.#stages = new CallStages(this);
    // Not assigned at once (docs/decisions/0027-ended-calls-die-young.md).
    const onAbort: CallContext['onAbort'] = (reason) => this.#onAbort(reason);
    context.onAbort = onAbort;
    stream.on('aborted', () => context.abort(new GitalyError('CANCELLED', 'context canceled')));
  }

  get method(): MethodInfo {
    return this.route.method;
  }

  get isPublic(): boolean {
    return this.route.isPublic;
  }

  get headers(): Metadata {
    return this.context.headers;
  }

  get peer(): Peer {
    return this.context.peer;
  }

  get deadlineMs(): number | undefined {
    return this.context.deadlineMs;
  }

  get logFields(): Readonly<Record<string, unknown>> {
    return this.context.logFields;
  }

  get requestMessages(): number {
    return this.#requests.messages;
  }

  get requestBytes(): number {
    return this.#requests.bytes;
  }

  get responseMessages(): number {
    return this.#responses.messages;
  }

  get responseBytes(): number {
    return this.#responses.bytes;
  }

  fail(error: GitalyError): boolean {
    if (!this.#isHandling) return false;
    this.#isHandling = false;
    if (this.method.operation === 'mutator') this.#endAfterHandler(error);
    else queueMicrotask(() => this.#stages.end(error));
    this.context.abort(error);
    return true;
  }

  /** Ends the stages once the handler has stopped its change, or takes too long for that. */
  #endAfterHandler(error: GitalyError): void {
    const end = (): void => {
      clearTimeout(timer);
      this.#onHandlerStopped = undefined;
      this.#stages.end(error);
    };
    const timer = setTimeout(end, ABORT_GRACE_MS);
    this.#onHandlerStopped = end;
  }

  cancel(error: GitalyError): void {
    if (!this.fail(error)) this.context.abort(error); // what waits for its handler rejects
  }

  /**
   * Runs the interceptors and the handler and sends the status. Never throws.
   *
   * @param onEnd is called when the call is over.
   */
  run(interceptors: readonly ServerInterceptor[], onEnd: () => void): void {
    this.#onEnd = onEnd;
    this.#stages.begin(interceptors);
  }

  onFirstRequest(message: unknown): unknown {
    if (this.#stages.isEmpty) return message;
    this.targets = namedTargets(this.method, message);
    return this.#stages.showFirst(message);
  }

  onSending(): void {
    this.#onSent(this);
  }

  onBegun(): void {
    this.#isHandling = true;
    this.#handle().then(
      () => this.#onHandled(undefined),
      (error: unknown) => this.#onHandled(error),
    );
  }

  async #handle(): Promise<void> {
    const { handler, method } = this.route;
    if (handler === undefined)
      throw new GitalyError('UNIMPLEMENTED', `unknown method ${method.name} for service ${method.service}`);
    switch (handler.kind) {
      case 'unary':
        this.#responses.keep(await handler.run(await this.#requests.only(), this.context));
        return;
      case 'client_stream':
        this.context.watchDeadline();
        this.#responses.keep(await handler.run(this.#requests.all(), this.context));
        return;
      case 'server_stream':
        return this.#responses.sendAll(handler.run(await this.#requests.only(), this.context));
      case 'bidi_stream':
        return this.#responses.sendAll(handler.run(this.#requests.all(), this.context));
    }
  }

  #onHandled(failure: unknown): void {
    if (!this.#isHandling) {
      this.#onHandlerStopped?.(); // the call has failed meanwhile
      return;
    }
    this.#isHandling = false;
    this.#stages.end(failure);
  }

  onEnded(failure: unknown): void {
    this.context.finish();
    this.#requests.close();
    try {
      this.incoming.discard();
      this.#responses.finish(failure === undefined ? undefined : this.#statusOf(failure));
    } catch {
      // HTTP/2 refuses the response; the client must not wait for it
      this.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
    }
    this.#onEnd?.();
  }

  #onAbort(reason: GitalyError): void {
    this.incoming.abort(reason);
    this.#responses.abort();
  }

  /**
   * Returns the status for an error. An error without a code that is thrown after an abort is
   * treated as its consequence.
   */
  #statusOf(error: unknown): GitalyError {
    if (error instanceof GitalyError) return error;
    const code = this.context.abortReason?.code ?? 'UNKNOWN';
    return new GitalyError(code, clientMessageOf(error), { cause: error });
  }
}
