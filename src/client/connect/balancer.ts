import { abortable } from '#base/async/abortable';
import { GitalyError } from '#base/gitaly-error';
import { aggregateState, type ConnectionState } from './connection-state.ts';
import { type Endpoint, endpointKey } from './endpoint.ts';
import { Subconnection } from './subconnection.ts';
import type { OpenTransport, Transport } from './transport.ts';

/** Resolves the endpoints of a connection until it is disposed. */
export interface Resolver extends Disposable {
  /** Hints that the known endpoints cannot be reached. */
  lookAgain(): void;
}

/** Starts a resolver, which passes the endpoints to the balancer at once or later. */
export type StartResolver = (balancer: Balancer) => Resolver;

/**
 * Choice among several endpoints for a call: the next ready one in turn, or the first that can be
 * reached.
 */
export type LoadBalancing = 'round_robin' | 'pick_first';

export interface BalancerOptions {
  readonly open: OpenTransport;
  readonly resolver: StartResolver;
  readonly policy?: LoadBalancing | undefined;
  /** Longest pause between attempts to connect. */
  readonly maxBackoffMs?: number | undefined;
  /** Limit of connections to each endpoint. Default 1. */
  readonly maxTransports?: number | undefined;
}

/** Chooses a transport for each call. */
export class Balancer {
  readonly #open: OpenTransport;
  readonly #startResolver: StartResolver;
  readonly #policy: LoadBalancing;
  readonly #maxBackoffMs: number | undefined;
  readonly #maxTransports: number | undefined;
  #resolver: Resolver | undefined;
  /** `undefined` until the first list of endpoints is known. */
  #subconnections: Map<string, Subconnection> | undefined;
  /** The only subconnection, if there is just one, as for an address without a name. */
  #only: Subconnection | undefined;
  #resolveError: GitalyError | undefined;
  #turn = 0;
  #isClosed = false;
  #changed = Promise.withResolvers<void>();

  /** Creates a balancer. Nothing starts before the first `pick`, not even the resolver. */
  constructor(options: BalancerOptions) {
    this.#open = options.open;
    this.#maxBackoffMs = options.maxBackoffMs;
    this.#maxTransports = options.maxTransports;
    this.#startResolver = options.resolver;
    this.#policy = options.policy ?? 'round_robin';
  }

  get state(): ConnectionState {
    if (this.#isClosed) return 'shutdown';
    if (this.#subconnections === undefined) {
      if (this.#resolveError !== undefined) return 'transient_failure';
      return this.#resolver === undefined ? 'idle' : 'connecting';
    }
    if (this.#only !== undefined) return this.#only.state;
    for (const { state } of this.#subconnections.values()) if (state === 'ready') return state;
    return aggregateState([...this.#subconnections.values()].map((subconnection) => subconnection.state));
  }

  /**
   * Replaces the list of endpoints. Connections to remaining endpoints are kept; the others are
   * closed when their calls are done.
   */
  setEndpoints(endpoints: readonly Endpoint[]): void {
    const before = this.#subconnections ?? new Map<string, Subconnection>();
    const after = new Map<string, Subconnection>();
    for (const endpoint of endpoints) {
      const key = endpointKey(endpoint);
      const create = () =>
        new Subconnection(endpoint, {
          open: this.#open,
          onChange: () => this.#onChange(),
          maxBackoffMs: this.#maxBackoffMs,
          maxTransports: this.#maxTransports,
        });
      after.set(key, before.get(key) ?? create());
    }
    for (const [key, subconnection] of before) if (!after.has(key)) subconnection.retire();

    this.#subconnections = after;
    this.#only = after.size === 1 ? [...after.values()][0] : undefined;
    this.#resolveError = undefined;
    this.#onChange();
  }

  /** Reports that the endpoints cannot be resolved. Has an effect only while none are known. */
  setError(error: GitalyError): void {
    this.#resolveError = error;
    this.#onChange();
  }

  /** Returns a transport for one call, or `undefined` if none is ready. Opens idle ones. */
  pick(): Transport | undefined {
    if (this.#isClosed) return undefined;
    this.#resolver ??= this.#startResolver(this);
    if (this.#subconnections === undefined) return undefined;
    return this.#policy === 'pick_first'
      ? pickFirst(this.#subconnections.values())
      : this.#pickNext(this.#subconnections);
  }

  /**
   * Waits for a transport while one may still become ready.
   *
   * @throws {GitalyError} UNAVAILABLE when no endpoint can be reached at the moment; the signal's
   *   reason when it aborts first.
   */
  async waitForTransport(signal?: AbortSignal): Promise<Transport> {
    for (;;) {
      signal?.throwIfAborted();
      const transport = this.pick();
      if (transport !== undefined) return transport;
      this.#throwIfHopeless();
      await raceWithAbort(this.#changed.promise, signal);
    }
  }

  /** Closes at once: running and waiting calls fail with CANCELLED. */
  async close(): Promise<void> {
    if (this.#isClosed) return;
    this.#isClosed = true;
    this.#resolver?.[Symbol.dispose]();
    this.#onChange();
    await Promise.all(
      [...(this.#subconnections?.values() ?? [])].map((subconnection) => subconnection.close(closing())),
    );
  }

  #pickNext(subconnections: ReadonlyMap<string, Subconnection>): Transport | undefined {
    if (this.#only !== undefined) {
      const transport = this.#only.pick();
      if (transport === undefined) this.#only.connect();
      return transport;
    }
    const ready: Transport[] = [];
    for (const subconnection of subconnections.values()) {
      const transport = subconnection.pick();
      if (transport === undefined) subconnection.connect();
      else ready.push(transport);
    }
    return ready[this.#turn++ % ready.length];
  }

  #throwIfHopeless(): void {
    if (this.#isClosed) throw closing();
    if (this.#subconnections === undefined) {
      if (this.#resolveError !== undefined) throw this.#resolveError;
      return;
    }
    if (this.#subconnections.size === 0)
      throw new GitalyError('UNAVAILABLE', 'name resolver error: produced zero addresses');
    if (this.state !== 'transient_failure') return;
    const errors = [...this.#subconnections.values()].map((subconnection) => subconnection.error);
    throw errors.find((error) => error !== undefined) ?? new GitalyError('UNAVAILABLE', 'no connection');
  }

  #onChange(): void {
    if (this.state === 'transient_failure') this.#resolver?.lookAgain();
    const { resolve } = this.#changed;
    this.#changed = Promise.withResolvers();
    resolve();
  }
}

/**
 * Returns the first open transport. If there is none, opens the preceding candidates, one at a
 * time.
 */
function pickFirst(subconnections: Iterable<Subconnection>): Transport | undefined {
  const all = [...subconnections];
  const open = all.find(({ transport }) => transport !== undefined);
  if (open !== undefined) return open.pick();
  if (all.some(({ state }) => state === 'connecting')) return undefined;
  all.find(({ state }) => state === 'idle')?.connect();
  return undefined;
}

/** Returns grpc-go's error for calls on a connection that its owner closed. */
function closing(): GitalyError {
  return new GitalyError('CANCELLED', 'grpc: the client connection is closing');
}

async function raceWithAbort(promise: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  await (signal === undefined ? promise : abortable(promise, signal));
}
