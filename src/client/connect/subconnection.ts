import { type GitalyError, withCode } from '#base/gitaly-error';
import { backoffMs } from '../call/retry.ts';
import type { ConnectionState } from './connection-state.ts';
import type { Endpoint } from './endpoint.ts';
import type { OpenTransport, Transport } from './transport.ts';

/** gRPC's connection backoff. `maxMs` is a default. */
const CONNECT_BACKOFF = { baseMs: 1000, maxMs: 120_000, multiplier: 1.6 };

/**
 * The connection to one endpoint. It is opened on request, and again after it broke, with growing
 * pauses between failed attempts.
 *
 * idle → connecting → ready → idle (peer closed or sent GOAWAY) → … connecting → transient_failure
 * → (pause over) idle; any state → shutdown
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
  #error: GitalyError | undefined;
  #failures = 0;
  #pause: NodeJS.Timeout | undefined;

  constructor(
    endpoint: Endpoint,
    options: { open: OpenTransport; onChange: () => void; maxBackoffMs?: number | undefined },
  ) {
    this.endpoint = endpoint;
    this.#open = options.open;
    this.#onChange = options.onChange;
    this.#maxBackoffMs = options.maxBackoffMs ?? CONNECT_BACKOFF.maxMs;
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
    const transports = [...this.#draining, ...(this.#transport === undefined ? [] : [this.#transport])];
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
      this.#transport = transport;
      void transport.closed.then(() => this.#retire(transport));
      this.#setState('ready');
    } catch (error) {
      this.#fail(withCode(error, 'UNAVAILABLE'));
    }
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
    this.#setState('idle');
  }

  #setState(state: ConnectionState): void {
    if (this.#state === 'shutdown' || this.#state === state) return;
    this.#state = state;
    this.#onChange();
  }
}
