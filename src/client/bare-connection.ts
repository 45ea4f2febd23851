import type { Interceptor, Invocation, Invoke, ResponseStream } from './call/call-types.ts';
import {
  type ClientOf,
  createClient,
  type ServiceCaller,
  type ServiceDescriptor,
} from './call/typed-client.ts';
import type { ConnectionState } from './connect/connection-state.ts';

/** The parts of a connection, assembled by `dialBare`. */
export interface BareConnectionOptions {
  readonly address: string;
  readonly interceptors: readonly Interceptor[];
  readonly startCall: Invoke;
  state(): ConnectionState;
  waitForReady(options: { signal?: AbortSignal; timeoutMs?: number }): Promise<void>;
  close(): Promise<void>;
}

/**
 * A connection without the services' functions: `client` creates them for a given service. So a
 * program loads the generated code of only that service, which matters for programs that git
 * starts.
 */
export class BareConnection implements ServiceCaller, AsyncDisposable {
  readonly #parts: BareConnectionOptions;
  readonly #invoke: Invoke;
  readonly #clients = new Map<ServiceDescriptor, unknown>();

  constructor(parts: BareConnectionOptions) {
    this.#parts = parts;
    this.#invoke = parts.interceptors.reduceRight<Invoke>(
      (next, interceptor) => (invocation) => interceptor(invocation, next),
      parts.startCall,
    );
  }

  /** The address that was dialed. */
  get address(): string {
    return this.#parts.address;
  }

  get state(): ConnectionState {
    return this.#parts.state();
  }

  /**
   * Connects if necessary and waits until a call could start at once. Retries until it succeeds or
   * the time is up.
   */
  waitForReady(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<void> {
    return this.#parts.waitForReady(options);
  }

  /** Closes at once: running calls fail with CANCELLED. Idempotent. */
  close(): Promise<void> {
    return this.#parts.close();
  }

  /**
   * Returns this connection for users who must not close it: `close` has no effect on the result.
   */
  share(): BareConnection {
    return new BareConnection({ ...this.#parts, close: () => Promise.resolve() });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Starts a call of any method, through the interceptors. */
  invoke(invocation: Invocation): ResponseStream<unknown> {
    return this.#invoke(invocation);
  }

  /** Returns the functions of any generated service. */
  client<S extends ServiceDescriptor>(service: S): ClientOf<S> {
    const known = this.#clients.get(service);
    // The map holds the functions of each service under that service.
    if (known !== undefined) return known as ClientOf<S>;
    const client = createClient(service, this.#invoke);
    this.#clients.set(service, client);
    return client;
  }
}
