import type { Interceptor, Invocation, Invoke, ResponseStream } from './call/call-types.ts';
import { type ClientOf, createClient, type ServiceCaller, type ServiceDescriptor } from './call/typed-client.ts';
import type { ConnectionState } from './connect/connection-state.ts';

/** What a connection is made of. `dialBare` puts it together. */
export interface ConnectionParts {
  readonly address: string;
  readonly interceptors: readonly Interceptor[];
  readonly startCall: Invoke;
  state(): ConnectionState;
  waitForReady(options: { signal?: AbortSignal; timeoutMs?: number }): Promise<void>;
  close(): Promise<void>;
}

/**
 * A connection without the services' functions: `client` makes them for a service that the caller brings along. So a program loads the
 * generated code of that service alone, which counts for programs that git starts.
 */
export class BareConnection implements ServiceCaller, AsyncDisposable {
  readonly #parts: ConnectionParts;
  readonly #invoke: Invoke;
  readonly #clients = new Map<ServiceDescriptor, unknown>();

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
    this.#invoke = parts.interceptors.reduceRight<Invoke>(
      (next, interceptor) => (invocation) => interceptor(invocation, next),
      parts.startCall,
    );
  }

  /** The connection string it was dialed with. */
  get address(): string {
    return this.#parts.address;
  }

  get state(): ConnectionState {
    return this.#parts.state();
  }

  /** Connects, if need be, and waits until calls would not have to wait. Tries again until it works or time is up. */
  waitForReady(options: { signal?: AbortSignal; timeoutMs?: number } = {}): Promise<void> {
    return this.#parts.waitForReady(options);
  }

  /** Ends everything at once: calls under way fail with CANCELLED. Idempotent. */
  close(): Promise<void> {
    return this.#parts.close();
  }

  /** The same connection for somebody who must not close it: `close` does nothing there. */
  lend(): BareConnection {
    return new BareConnection({ ...this.#parts, close: () => Promise.resolve() });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Starts one call of any method, through the interceptors. */
  invoke(invocation: Invocation): ResponseStream<unknown> {
    return this.#invoke(invocation);
  }

  /** The functions of any generated service. */
  client<S extends ServiceDescriptor>(service: S): ClientOf<S> {
    const known = this.#clients.get(service);
    // The map holds under each service what was made for that service.
    if (known !== undefined) return known as ClientOf<S>;
    const client = createClient(service, this.#invoke);
    this.#clients.set(service, client);
    return client;
  }
}
