import { isSameOwner, type Owner } from '../codec/owner.ts';
import { LEASE, type Lease } from '../codec/small-records.ts';
import { ASK_SHARE, type Environment, type ProtocolTimes } from '../environment.ts';
import { ProtocolError } from '../errors.ts';
import { leaseKey } from '../keys.ts';

/** `lost`: another process has the name of this server, which must end. */
export type LeaseState = 'new' | 'live' | 'released' | 'lost';

export interface OwnLeaseOptions extends Environment {
  readonly server: string;
  readonly address: string;
  readonly times: ProtocolTimes;
}

interface Known {
  readonly lease: Lease;
  readonly version: string;
}

/** The lease of this server. Its owner renews it every `renewMs`. */
export class OwnLease {
  readonly options: OwnLeaseOptions;
  readonly #process: string;
  #known: Known | undefined;
  /** Time at which the last successful renewal was sent. */
  #renewedMs = Number.NEGATIVE_INFINITY;
  #state: LeaseState = 'new';

  constructor(options: OwnLeaseOptions) {
    this.options = options;
    this.#process = options.random.nonce();
  }

  get state(): LeaseState {
    return this.#state;
  }

  /** This server in its current epoch. */
  get owner(): Owner {
    return { server: this.options.server, epoch: this.#known?.lease.epoch ?? 0 };
  }

  /** Reports whether a generation, or a state, is of this server in its current epoch. */
  isOwner(owner: Owner | undefined): boolean {
    return this.#state !== 'lost' && isSameOwner(owner, this.owner);
  }

  /** Reports whether reads need no request: nobody else can own what this server owns. */
  isFresh(): boolean {
    const ageMs = this.options.clock.nowMs() - this.#renewedMs;
    return this.#state === 'live' && ageMs <= ASK_SHARE * this.options.times.ttlMs;
  }

  /** Reports whether reads may be answered at all. */
  mayRead(): boolean {
    return this.#state === 'live';
  }

  /** Takes the lease, in a new epoch. The last process of this server has ended. */
  async start(): Promise<void> {
    const { bucket, clock, times, server } = this.options;
    for (;;) {
      const object = await bucket.get(leaseKey(server));
      const found = object && LEASE.open(object.content);
      const next = this.#next({ epoch: this.nextEpoch(found?.epoch ?? 0) });
      if (await this.#write(next, object?.version)) break;
      await clock.sleep(times.retryMs);
    }
    this.#state = 'live';
  }

  /** Returns the epoch after another: a server that restarts is another owner. */
  nextEpoch(epoch: number): number {
    return epoch + 1;
  }

  /** Renews the lease once. A failed request leaves it to grow old. */
  async renew(): Promise<void> {
    if (this.#state !== 'live' || this.#known === undefined) return;
    if (await this.#write(this.#next({}), this.#known.version)) return;
    const object = await this.options.bucket.get(leaseKey(this.options.server));
    if (object === undefined || this.#state !== 'live') return;
    const found = LEASE.open(object.content);
    if (found.process !== this.#process) this.#state = 'lost';
    else if (found.state === 'ended') await this.#restart(found, object.version);
    else this.#known = { lease: found, version: object.version }; // a renewal whose response was lost
  }

  /** Gives the lease up. No read is answered after the call has started. */
  async release(): Promise<void> {
    if (this.#state !== 'live' || this.#known === undefined) return;
    this.#state = 'released';
    await this.#write(this.#next({ state: 'released' }), this.#known.version);
  }

  /** Returns the time from which a renewal counts: that of the request, not of the response. */
  renewedAt(sentMs: number): number {
    return sentMs;
  }

  /**
   * Starts a new epoch after another server has ended the lease: this server owns nothing any more.
   */
  async #restart(found: Lease, version: string): Promise<void> {
    this.#renewedMs = Number.NEGATIVE_INFINITY;
    await this.#write(this.#next({ epoch: this.nextEpoch(found.epoch) }), version);
  }

  #next(changed: Partial<Lease>): Lease {
    const { server, address, times, random } = this.options;
    const { epoch = 0, counter = 0 } = this.#known?.lease ?? {};
    return {
      server,
      epoch,
      address,
      process: this.#process,
      ttlMs: times.ttlMs,
      counter: counter + 1,
      nonce: random.nonce(),
      state: 'live',
      ...changed,
    };
  }

  /**
   * Writes the lease. @returns whether it was written; a request without a response is looked up.
   */
  async #write(lease: Lease, version: string | undefined): Promise<boolean> {
    const { bucket, clock, server } = this.options;
    const sentMs = clock.nowMs();
    const content = LEASE.seal(lease);
    const written = await this.#put(content, version);
    let known = written === undefined ? undefined : { lease, version: written };
    if (known === undefined) {
      const object = await bucket.get(leaseKey(server));
      if (object?.content.equals(content)) known = { lease, version: object.version };
    }
    if (known === undefined) return false;
    this.#known = known;
    this.#renewedMs = this.renewedAt(sentMs);
    return true;
  }

  async #put(content: Buffer, version: string | undefined): Promise<string | undefined> {
    const { bucket, server } = this.options;
    try {
      if (version !== undefined) return await bucket.replace(leaseKey(server), content, version);
      await bucket.create(leaseKey(server), content);
    } catch (error) {
      if (error instanceof ProtocolError) throw error;
    }
    return undefined; // the object is read then
  }
}
