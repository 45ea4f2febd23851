import { timerMs } from '../async/timer-ms.ts';
import { GitalyError } from '../gitaly-error.ts';
import { abortedWait, fullQueue, LimitRefusal } from './limit-refusal.ts';

/** How much may be in use at once, and who may wait. What is not set has no limit. */
export interface LimitPolicy {
  /** Amount for all owners together, in units of the caller's choice. */
  readonly capacity?: number;
  /** Amount for one owner. Default: `capacity`. */
  readonly capacityPerOwner?: number;
  /** Returns the part of the capacities that may be used now. Default 1. */
  readonly share?: (() => number) | undefined;
  /** Requests that may wait, for all owners together and for each. */
  readonly maxWaiting?: number;
  readonly maxWaitingPerOwner?: number | undefined;
  /** Longest wait. */
  readonly maxWaitMs?: number | undefined;
  /** In error messages: `too many <name> are waiting`. Without it, Gitaly's refusals are thrown. */
  readonly name?: string;
}

/** A turn. `release` gives it back; only the first call counts. */
export interface Turn {
  readonly waitedMs: number;
  release(): void;
}

export interface AcquireOptions {
  readonly signal?: AbortSignal | undefined;
  /** Called if there is no turn at once. */
  readonly onWait?: (() => void) | undefined;
  /** Number of units; more than the capacity count as the whole capacity. Default 1. */
  readonly units?: number;
}

/** Callers that hold or wait for a key. */
export interface Callers {
  readonly holders: number;
  readonly waiting: number;
}

/** A limit of how many callers hold the same key at once. */
export interface CallersLimit {
  readonly maxConcurrency: number;
  callers(key: string): Callers;
  /** Yields the keys with holders. */
  entries(): Iterable<Callers & { readonly key: string }>;
  /** Returns a turn if there is one now. */
  take(key: string): Turn | undefined;
  /** Waits for a turn. @throws {LimitRefusal} */
  acquire(key: string, options: Omit<AcquireOptions, 'units'>): Promise<Turn>;
}

interface Waiting {
  readonly units: number;
  readonly go: () => void;
}

interface Owner<K> {
  readonly key: K;
  inUse: number;
  /** In order of arrival. */
  readonly waiting: Set<Waiting>;
}

/**
 * Limits what is in use at once, in all and for each owner, and shares it fairly: owners take
 * turns, however many requests each of them has waiting; requests of one owner are served in their
 * order. Owners that hold nothing cost nothing.
 */
export class Limit<K> {
  readonly #policy: LimitPolicy;
  readonly #owners = new Map<K, Owner<K>>();
  /** Owners with waiting requests, the next one first. */
  readonly #turns = new Set<Owner<K>>();
  #capacityPerOwner: number;
  #inUse = 0;
  #waiting = 0;

  constructor(policy: LimitPolicy) {
    this.#policy = policy;
    this.#capacityPerOwner = policy.capacityPerOwner ?? policy.capacity ?? Number.POSITIVE_INFINITY;
  }

  get inUse(): number {
    return this.#inUse;
  }

  get waiting(): number {
    return this.#waiting;
  }

  /** Units for each owner. */
  get maxConcurrency(): number {
    return this.#capacityPerOwner;
  }

  /**
   * Changes the number of units for each owner. Holders above a lowered limit keep their turn; no
   * new ones start.
   */
  resize(capacityPerOwner: number): void {
    this.#capacityPerOwner = capacityPerOwner;
    this.#serve(this.#turns);
  }

  callers(key: K): Callers {
    const owner = this.#owners.get(key);
    return { holders: owner?.inUse ?? 0, waiting: owner?.waiting.size ?? 0 };
  }

  *entries(): Generator<Callers & { readonly key: K }> {
    for (const { key, inUse, waiting } of this.#owners.values())
      yield { key, holders: inUse, waiting: waiting.size };
  }

  /** Takes units at once if no other request waits before it; `undefined` otherwise. */
  take(key: K, units = 1): Turn | undefined {
    const owner = this.#ownerOf(key);
    const taken = this.#clamp(units);
    if (owner.waiting.size === 0 && this.#fits(owner, taken) && !this.#isSharedWaitedFor())
      return this.#turn(owner, taken, 0);
    this.#forget(owner);
    return undefined;
  }

  /**
   * Waits for its turn, and takes units.
   *
   * @throws when too many wait, after the longest wait, or when the signal is aborted: a
   *   {GitalyError} or the signal's reason if the policy has a name, otherwise a {LimitRefusal}.
   */
  async acquire(key: K, { units = 1, signal, onWait }: AcquireOptions = {}): Promise<Turn> {
    if (signal?.aborted) throw this.#left(signal);
    const turn = this.take(key, units);
    if (turn !== undefined) return turn;
    const { name, maxWaiting = Number.POSITIVE_INFINITY } = this.#policy;
    const { maxWaitingPerOwner = Number.POSITIVE_INFINITY } = this.#policy;
    const owner = this.#ownerOf(key);
    if (this.#waiting >= maxWaiting || owner.waiting.size >= maxWaitingPerOwner) {
      this.#forget(owner);
      throw name === undefined ? fullQueue() : exhausted(`too many ${name} are waiting`);
    }
    onWait?.();
    return await this.#wait(owner, this.#clamp(units), signal);
  }

  async #wait(owner: Owner<K>, units: number, signal: AbortSignal | undefined): Promise<Turn> {
    const { maxWaitMs } = this.#policy;
    const { promise, resolve, reject } = Promise.withResolvers<Turn>();
    const startedAt = performance.now();
    const go = (): void => resolve(this.#turn(owner, units, performance.now() - startedAt));
    const waiting: Waiting = { units, go };
    const leave = (reason: unknown): void => {
      if (!this.#leave(owner, waiting)) return;
      this.#forget(owner);
      reject(reason);
      this.#serveAfter(owner);
    };
    const onAbort = (): void => leave(signal && this.#left(signal));
    const timer =
      maxWaitMs === undefined ? undefined : setTimeout(() => leave(this.#late()), timerMs(maxWaitMs));
    signal?.addEventListener('abort', onAbort, { once: true });
    owner.waiting.add(waiting);
    this.#turns.add(owner);
    this.#waiting++;
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #turn(owner: Owner<K>, units: number, waitedMs: number): Turn {
    owner.inUse += units;
    this.#inUse += units;
    let isReleased = false;
    return {
      waitedMs,
      release: () => {
        if (isReleased) return;
        isReleased = true;
        owner.inUse -= units;
        this.#inUse -= units;
        this.#forget(owner);
        this.#serveAfter(owner);
      },
    };
  }

  #leave(owner: Owner<K>, waiting: Waiting): boolean {
    if (!owner.waiting.delete(waiting)) return false;
    this.#waiting--;
    if (owner.waiting.size === 0) this.#turns.delete(owner);
    return true;
  }

  /** Gives turns after an owner gave something back. Others wait for it only if it is shared. */
  #serveAfter(owner: Owner<K>): void {
    if (this.#policy.capacity !== undefined) this.#serve(this.#turns);
    else if (owner.waiting.size > 0) this.#serve(new Set([owner]));
  }

  /** Lets owners take turns for as long as there is capacity for any of them. */
  #serve(owners: Set<Owner<K>>): void {
    for (const owner of owners) {
      const [next] = owner.waiting;
      if (next === undefined) continue;
      // A request for many units is not overtaken for ever by requests for few.
      if (this.#inUse + next.units > this.#capacities().capacity) return;
      if (!this.#fits(owner, next.units)) continue;
      owners.delete(owner);
      this.#leave(owner, next);
      // The loop comes to those that are added again.
      if (owner.waiting.size > 0) owners.add(owner);
      next.go();
    }
  }

  #fits({ inUse }: Owner<K>, units: number): boolean {
    const { capacity, capacityPerOwner } = this.#capacities();
    return this.#inUse + units <= capacity && inUse + units <= capacityPerOwner;
  }

  /** Reports whether a request waits for the shared capacity, not for its owner's. */
  #isSharedWaitedFor(): boolean {
    if (this.#policy.capacity === undefined) return false;
    const { capacityPerOwner } = this.#capacities();
    return this.#turns.values().some(({ inUse, waiting: [next] }) => {
      return next !== undefined && inUse + next.units <= capacityPerOwner;
    });
  }

  #clamp(units: number): number {
    const { capacity, capacityPerOwner } = this.#capacities();
    return Math.max(1, Math.min(units, capacity, capacityPerOwner)); // nothing fits a capacity of 0
  }

  #capacities(): { readonly capacity: number; readonly capacityPerOwner: number } {
    const { capacity = Number.POSITIVE_INFINITY, share } = this.#policy;
    const capacityPerOwner = this.#capacityPerOwner;
    if (share === undefined) return { capacity, capacityPerOwner };
    const part = (of: number): number => Math.max(1, Math.floor(of * share()));
    return { capacity: part(capacity), capacityPerOwner: part(capacityPerOwner) };
  }

  #ownerOf(key: K): Owner<K> {
    const owner = this.#owners.get(key) ?? { key, inUse: 0, waiting: new Set() };
    this.#owners.set(key, owner);
    return owner;
  }

  #forget(owner: Owner<K>): void {
    if (owner.inUse === 0 && owner.waiting.size === 0) this.#owners.delete(owner.key);
  }

  #late(): Error {
    const { name, maxWaitMs } = this.#policy;
    return name === undefined
      ? new LimitRefusal('max_time', 'maximum time in concurrency queue reached')
      : exhausted(`${name} waited for ${maxWaitMs} ms`);
  }

  #left(signal: AbortSignal): unknown {
    return this.#policy.name === undefined ? abortedWait(signal) : signal.reason;
  }
}

function exhausted(message: string): GitalyError {
  return new GitalyError('RESOURCE_EXHAUSTED', message);
}
