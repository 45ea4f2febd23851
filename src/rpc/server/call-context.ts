import type { Duplex } from 'node:stream';
import { timeLeftMs } from '#base/async/time-left';
import { MAX_TIMER_MS } from '#base/async/timer-ms';
import { GitalyError } from '#base/gitaly-error';
import { newCorrelationId } from '#rpc/common/correlation-id';
import { CORRELATION_ID } from '#rpc/common/header-names';
import { Metadata } from '#rpc/common/metadata';
import type { MethodInfo } from '#wire/method-info';
import type { CallFlags, CallLog, HandlerContext, Peer } from './handler.ts';

/**
 * Implementations of context properties by the modules above. Each is called at most once per call,
 * at the first use of the property.
 */
export interface ContextExtras {
  /**
   * Returns the flags. Default: no flag is enabled, because their declared defaults are unknown
   * here.
   */
  flags?(headers: Metadata): CallFlags;
  /** Opens a sidechannel. Default: fails as on a connection without a multiplexer. */
  openSidechannel?(headers: Metadata, peer: Peer, signal: AbortSignal): Promise<Duplex>;
}

const NO_FLAGS: CallFlags = { isEnabled: () => false, sent: () => new Map() };

/**
 * The context of one call. Everything is created on demand: a call that does not use its signal has
 * no AbortController and no timer.
 */
export class CallContext implements HandlerContext, CallLog {
  readonly method: MethodInfo;
  readonly headers: Metadata;
  readonly peer: Peer;
  readonly deadlineMs: number | undefined;
  readonly logFields: Record<string, unknown> = {};
  user: HandlerContext['user'];
  readonly #extras: ContextExtras;
  #controller: AbortController | undefined;
  #timer: NodeJS.Timeout | undefined;
  #abortReason: GitalyError | undefined;
  #isOver = false;
  #correlationId: string | undefined;
  #flags: CallFlags | undefined;
  #responseHeaders: Metadata | undefined;
  #trailers: Metadata | undefined;
  /** Called once when the call is aborted. */
  onAbort: ((reason: GitalyError) => void) | undefined;

  /** Creates a context. `deadlineMs` is a time comparable with `Date.now()`. */
  constructor(
    method: MethodInfo,
    headers: Metadata,
    peer: Peer,
    deadlineMs: number | undefined,
    extras: ContextExtras,
  ) {
    this.method = method;
    this.headers = headers;
    this.peer = peer;
    this.deadlineMs = deadlineMs;
    this.#extras = extras;
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#abortReason !== undefined) this.#controller.abort(this.#abortReason);
      else this.watchDeadline();
    }
    return this.#controller.signal;
  }

  get deadline(): Date | undefined {
    return this.deadlineMs === undefined ? undefined : new Date(this.deadlineMs);
  }

  get correlationId(): string {
    this.#correlationId ??= this.headers.get(CORRELATION_ID) || newCorrelationId();
    return this.#correlationId;
  }

  get log(): CallLog {
    return this;
  }

  add(fields: Readonly<Record<string, unknown>>): void {
    Object.assign(this.logFields, fields);
  }

  get flags(): CallFlags {
    this.#flags ??= this.#extras.flags?.(this.headers) ?? NO_FLAGS;
    return this.#flags;
  }

  get responseHeaders(): Metadata {
    this.#responseHeaders ??= Metadata.from();
    return this.#responseHeaders;
  }

  /** The response headers, if they were used. */
  get responseHeadersInUse(): Metadata | undefined {
    return this.#responseHeaders;
  }

  get trailers(): Metadata {
    this.#trailers ??= Metadata.from();
    return this.#trailers;
  }

  /** The trailers, if they were used. */
  get trailersInUse(): Metadata | undefined {
    return this.#trailers;
  }

  openSidechannel(): Promise<Duplex> {
    if (this.#extras.openSidechannel !== undefined)
      return this.#extras.openSidechannel(this.headers, this.peer, this.signal);
    return Promise.reject(
      new GitalyError('UNAVAILABLE', 'sidechannel: fail to extract mux session: non-multiplexed connection'),
    );
  }

  /** The reason why the call was aborted; `undefined` if it was not. */
  get abortReason(): GitalyError | undefined {
    return this.#abortReason;
  }

  /**
   * Starts the deadline's timer, once. The signal and streaming calls need it; a unary call without
   * a signal does not.
   */
  watchDeadline(): void {
    if (
      this.deadlineMs === undefined ||
      this.#timer !== undefined ||
      this.#isOver ||
      this.#abortReason !== undefined
    )
      return;
    const remainingMs = timeLeftMs(this.deadlineMs, Date.now());
    if (remainingMs === 0) this.#expire();
    else if (remainingMs <= MAX_TIMER_MS) this.#timer = setTimeout(() => this.#expire(), remainingMs);
  }

  /** Aborts the call, once, and not after its end. */
  abort(reason: GitalyError): void {
    if (this.#isOver || this.#abortReason !== undefined) return;
    this.#abortReason = reason;
    clearTimeout(this.#timer);
    this.#controller?.abort(reason);
    this.onAbort?.(reason);
  }

  /** Marks the handler as done: nothing can abort the call any more. */
  finish(): void {
    this.#isOver = true;
    clearTimeout(this.#timer);
  }

  #expire(): void {
    this.abort(new GitalyError('DEADLINE_EXCEEDED', 'context deadline exceeded'));
  }
}
