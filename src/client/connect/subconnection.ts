import { type GitalyError, withCode } from '#base/gitaly-error';
import { backoffMs } from '../call/retry.ts';
import type { ConnectionState } from './connection-state.ts';
import type { Endpoint } from './endpoint.ts';
import { FurtherTransports } from './further-transports.ts';
import type { OpenTransport, Transport } from './transport.ts';

/** gRPC's connection backoff. `maxMs` is a default. */
const CONNECT_BACKOFF = { baseMs: 1000, maxMs: 120_000, multiplier: 1.6 };

export interface SubconnectionOptions {
  readonly open: OpenTransport;
  readonly onChange: () => void;
  readonly maxBackoffMs?: number | undefined;
  /** Limit of connections to the endpoint. Default 1. */
  readonly maxTransports?: number | undefined;
}

/**
 * The connection to one endpoint. It is opened on request, and again after it broke, with growing
 * pauses between failed attempts. While it is open and has many calls, there may be further ones.
 *
 * idle → connecting → ready → idle (peer closed or sent GOAWAY, and no further one is open) → …
 * connecting → transient_failure → (pause over) idle; any state → shutdown
 */
export class Subconnection {
  readonly endpoint: Endpoint;
  readonly #open: OpenTransport;
  readonly #onChange: () => void;
  readonly #maxBackoffMs: number;
  readonly #closing = new AbortController();
  /** Transports that finish their last calls after a GOAWAY. */
  readonly #draining = new Set<Transport>();
  #state: ConnectionState = 'idle';
  #transport: Transport | undefined;
  readonly #further: FurtherTransports | undefined;
  #error: GitalyError | undefined;
  #failures = 0;
  #pause: NodeJS.Timeout | undefined;

  constructor(endpoint: Endpoint, options: SubconnectionOptions) {
    this.endpoint = endpoint;
    this.#open = options.open;
    this.#onChange = options.onChange;
    this.#maxBackoffMs = options.maxBackoffMs ?? CONNECT_BACKOFF.maxMs;
    const max = (options.maxTransports ?? 1) - 1;
    const open = () => this.#open(endpoint, this.#closing.signal);
    this.#further = max > 0 ? new FurtherTransports({ max, open }) : undefined;
  }

  get state(): ConnectionState {
    this.#retireClosed();
    return this.#state;
  }

  /** The error of the last attempt. */
  get error(): GitalyError | undefined {
    return this.#error;
  }

  /** The open transport; `undefined` unless ready. */
  get transport(): Transport | undefined {
    this.#retireClosed();
    return this.#transport;
  }

  /** Returns the transport for a call; `undefined` unless ready. */
  pick(): Transport | undefined {
    const { transport } = this;
    return transport === undefined ? undefined : (this.#further?.choose(transport) ?? transport);
  }

  /** Starts to connect if nothing is open and no pause is running. */
  connect(): void {
    if (this.#state === 'idle') void this.#connect();
  }

  /** Stops opening connections; an open one closes when its last call has ended. */
  retire(): void {
    for (const transport of this.#shutDown()) transport.drain();
  }

  /** Closes an open connection at once; calls fail with `error`. */
  async close(error: GitalyError): Promise<void> {
    await Promise.all(this.#shutDown().map((transport) => transport.destroy(error)));
  }

  #shutDown(): Transport[] {
    this.#setState('shutdown');
    clearTimeout(this.#pause);
    this.#closing.abort();
    const transports = [...this.#draining, ...(this.#further?.shutDown() ?? [])];
    if (this.#transport !== undefined) transports.push(this.#transport);
    this.#transport = undefined;
    return transports;
  }

  async #connect(): Promise<void> {
    this.#setState('connecting');
    try {
      const transport = await this.#open(this.endpoint, this.#closing.signal);
      if (this.#closing.signal.aborted) return void (await transport.destroy());
      this.#failures = 0;
      this.#error = undefined;
      this.#use(transport);
      this.#setState('ready');
    } catch (error) {
      this.#fail(withCode(error, 'UNAVAILABLE'));
    }
  }

  #use(transport: Transport): void {
    this.#transport = transport;
    void transport.closed.then(() => this.#retire(transport));
  }

  #fail(error: GitalyError): void {
    if (this.#closing.signal.aborted) return;
    this.#failures++;
    this.#error = error;
    this.#pause = setTimeout(
      () => this.#setState('idle'),
      backoffMs({ ...CONNECT_BACKOFF, maxMs: this.#maxBackoffMs, attempt: this.#failures }),
    ).unref();
    this.#setState('transient_failure');
  }

  #retireClosed(): void {
    if (this.#transport !== undefined && !this.#transport.isOpen) this.#retire(this.#transport);
  }

  #retire(transport: Transport): void {
    this.#draining.add(transport);
    void transport.closed.then(() => this.#draining.delete(transport));
    if (this.#transport !== transport) return;
    this.#transport = undefined;
    const next = this.#further?.take();
    if (next === undefined) this.#setState('idle');
    else this.#use(next);
  }

  #setState(state: ConnectionState): void {
    if (this.#state === 'shutdown' || this.#state === state) return;
    this.#state = state;
    this.#onChange();
  }
}
