import { GitalyError } from '../gitaly-error.ts';

export interface FairLimitOptions {
  /** In error messages: `too many <name> are waiting`. */
  readonly name: string;
  /** Amount that may be in use at once, in units of the caller's choice. */
  readonly capacity: number;
  /** Returns the part of the capacities that may be used now. Default 1. */
  readonly share?: (() => number) | undefined;
  /** Part of the capacity for one owner. Default: all of it. */
  readonly capacityPerOwner?: number;
  /** Requests that may wait, for all owners together and for each. Default: no limit. */
  readonly maxWaiting?: number;
  readonly maxWaitingPerOwner?: number;
  /** Longest wait. Default: no limit. */
  readonly maxWaitMs?: number;
}

export interface AcquireOptions {
  /** Number of units; more than the capacity count as the whole capacity. Default 1. */
  readonly units?: number;
  readonly signal?: AbortSignal | undefined;
}

interface Waiting {
  readonly units: number;
  readonly go: () => void;
}

interface Owner {
  inUse: number;
  readonly waiting: Waiting[];
}

/**
 * Limits what is in use at once, and shares it fairly: owners take turns, however many requests
 * each of them has waiting; requests of one owner are served in their order.
 */
export class FairLimit<K> {
  readonly #options: FairLimitOptions;
  readonly #owners = new Map<K, Owner>();
  /** Owners with waiting requests, the next one first. */
  #turns: K[] = [];
  #inUse = 0;
  #waiting = 0;

  constructor(options: FairLimitOptions) {
    this.#options = options;
  }

  /** Units in use. */
  get inUse(): number {
    return this.#inUse;
  }

  /** Requests that wait. */
  get waiting(): number {
    return this.#waiting;
  }

  /**
   * Takes units at once if no other request waits before it; `undefined` otherwise. Release as in
   * {@link acquire}.
   */
  tryAcquire(key: K, units = 1): (() => void) | undefined {
    const owner = this.#ownerOf(key);
    if (owner.waiting.length > 0 || !this.#fits(owner, this.#clamp(units)) || this.#isSharedWaitedFor()) {
      this.#forget(key, owner);
      return undefined;
    }
    return this.#take(key, owner, this.#clamp(units));
  }

  /**
   * Waits for its turn, and takes units. The result gives them back; only its first call counts.
   *
   * @throws {GitalyError} RESOURCE_EXHAUSTED when too many wait, or after the longest wait; the
   *   signal's reason when it is aborted.
   */
  async acquire(key: K, { units = 1, signal }: AcquireOptions = {}): Promise<() => void> {
    signal?.throwIfAborted();
    const taken = this.tryAcquire(key, units);
    if (taken !== undefined) return taken;
    const { name, maxWaiting = Number.POSITIVE_INFINITY } = this.#options;
    const { maxWaitingPerOwner = Number.POSITIVE_INFINITY } = this.#options;
    const owner = this.#ownerOf(key);
    if (this.#waiting >= maxWaiting || owner.waiting.length >= maxWaitingPerOwner) {
      this.#forget(key, owner);
      throw new GitalyError('RESOURCE_EXHAUSTED', `too many ${name} are waiting`);
    }
    return await this.#wait(key, owner, { units: this.#clamp(units), signal });
  }

  async #wait(key: K, owner: Owner, { units, signal }: Required<AcquireOptions>): Promise<() => void> {
    const { name, maxWaitMs } = this.#options;
    const { promise, resolve, reject } = Promise.withResolvers<() => void>();
    const waiting: Waiting = { units, go: () => resolve(this.#take(key, owner, units)) };
    const leave = (reason: unknown): void => {
      const at = owner.waiting.indexOf(waiting);
      if (at === -1) return;
      owner.waiting.splice(at, 1);
      this.#waiting--;
      this.#forget(key, owner);
      reject(reason);
      this.#serve();
    };
    const onAbort = (): void => leave(signal?.reason);
    const timer =
      maxWaitMs === undefined
        ? undefined
        : setTimeout(
            () => leave(new GitalyError('RESOURCE_EXHAUSTED', `${name} waited for ${maxWaitMs} ms`)),
            maxWaitMs,
          );
    signal?.addEventListener('abort', onAbort, { once: true });
    if (owner.waiting.length === 0) this.#turns.push(key);
    owner.waiting.push(waiting);
    this.#waiting++;
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal?.removeEventListener('abort', onAbort);
    }
  }

  #take(key: K, owner: Owner, units: number): () => void {
    owner.inUse += units;
    this.#inUse += units;
    let isReleased = false;
    return () => {
      if (isReleased) return;
      isReleased = true;
      owner.inUse -= units;
      this.#inUse -= units;
      this.#forget(key, owner);
      this.#serve();
    };
  }

  /** Lets owners take turns for as long as there is capacity for any of them. */
  #serve(): void {
    let passed = 0;
    while (this.#turns.length > passed) {
      const key = this.#turns[passed];
      const owner = key === undefined ? undefined : this.#owners.get(key);
      const [next] = owner?.waiting ?? [];
      if (key === undefined || owner === undefined || next === undefined) {
        this.#turns.splice(passed, 1);
      } else if (this.#inUse + next.units > this.#capacities().capacity) {
        // A request for many units is not overtaken for ever by requests for few.
        return;
      } else if (!this.#fits(owner, next.units)) {
        passed++;
      } else {
        this.#turns.splice(passed, 1);
        owner.waiting.shift();
        this.#waiting--;
        if (owner.waiting.length > 0) this.#turns.push(key);
        next.go();
        passed = 0;
      }
    }
  }

  #fits({ inUse }: Owner, units: number): boolean {
    const { capacity, capacityPerOwner } = this.#capacities();
    return this.#inUse + units <= capacity && inUse + units <= capacityPerOwner;
  }

  /** Reports whether a request waits for the shared capacity, not for its owner's. */
  #isSharedWaitedFor(): boolean {
    const { capacityPerOwner } = this.#capacities();
    return this.#turns.some((key) => {
      const owner = this.#owners.get(key);
      const units = owner?.waiting[0]?.units;
      return owner !== undefined && units !== undefined && owner.inUse + units <= capacityPerOwner;
    });
  }

  #clamp(units: number): number {
    const { capacity, capacityPerOwner } = this.#capacities();
    return Math.min(units, capacity, capacityPerOwner);
  }

  #capacities(): { readonly capacity: number; readonly capacityPerOwner: number } {
    const { capacity, capacityPerOwner = capacity, share } = this.#options;
    if (share === undefined) return { capacity, capacityPerOwner };
    const part = (of: number): number => Math.max(1, Math.floor(of * share()));
    return { capacity: part(capacity), capacityPerOwner: part(capacityPerOwner) };
  }

  #ownerOf(key: K): Owner {
    let owner = this.#owners.get(key);
    if (owner === undefined) {
      owner = { inUse: 0, waiting: [] };
      this.#owners.set(key, owner);
    }
    return owner;
  }

  #forget(key: K, { inUse, waiting }: Owner): void {
    if (inUse === 0 && waiting.length === 0) this.#owners.delete(key);
  }
}
