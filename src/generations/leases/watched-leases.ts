import type { Owner } from '../codec/owner.ts';
import { LEASE, type Lease } from '../codec/small-records.ts';
import { DEAD_SHARE, type Environment } from '../environment.ts';
import { leaseKey } from '../keys.ts';

interface Seen {
  readonly version: string;
  /** Time of the response that had this version first. */
  readonly sinceMs: number;
}

/** Servers whose leases are remembered; more than a bucket has. */
const MAX_WATCHED = 10_000;

/** The leases of other servers, of which only those are read whose repositories are requested. */
export class WatchedLeases {
  readonly options: Environment;
  readonly #seen = new Map<string, Seen>();

  constructor(options: Environment) {
    this.options = options;
  }

  /**
   * Reports whether an owner is dead: it has released its lease, has another epoch, or its lease
   * has not changed for long enough, by the clock of this server. It needs two calls to find out.
   */
  async isDead(owner: Owner): Promise<boolean> {
    const askedMs = this.options.clock.nowMs();
    const read = await this.#read(owner);
    if (read === undefined) return true;
    const { lease, version } = read;
    if (lease.epoch !== owner.epoch || lease.state !== 'live') return true;
    const seen = this.#seen.get(owner.server);
    if (seen?.version === version) return askedMs - seen.sinceMs >= this.deadMs(lease);
    if (this.#seen.size >= MAX_WATCHED) this.#seen.clear();
    this.#seen.set(owner.server, { version, sinceMs: this.options.clock.nowMs() });
    return false;
  }

  /**
   * Time without a change after which a lease is dead; longer than its owner answers without
   * asking.
   */
  deadMs(lease: Lease): number {
    return DEAD_SHARE * lease.ttlMs;
  }

  /**
   * Ends the lease of a dead owner, so that it cannot renew it any more.
   *
   * @returns false if the owner has renewed it after all.
   */
  async end(owner: Owner): Promise<boolean> {
    const read = await this.#read(owner);
    if (read === undefined || read.lease.epoch !== owner.epoch || read.lease.state !== 'live') return true;
    if (read.version !== this.#seen.get(owner.server)?.version) return false;
    const { bucket, random } = this.options;
    const ended: Lease = { ...read.lease, state: 'ended', nonce: random.nonce() };
    return (await bucket.replace(leaseKey(owner.server), LEASE.seal(ended), read.version)) !== undefined;
  }

  async #read({ server }: Owner): Promise<{ lease: Lease; version: string } | undefined> {
    const object = await this.options.bucket.get(leaseKey(server));
    return object && { lease: LEASE.open(object.content), version: object.version };
  }
}
