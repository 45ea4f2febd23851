import { LEASE, type Lease } from '#generations/codec/small-records';
import { leaseKey } from '#generations/keys';
import { OwnLease } from '#generations/leases/own-lease';
import { WatchedLeases } from '#generations/leases/watched-leases';
import type { ArchiveBucket } from './archive-bucket.ts';

/** Name of the lease of an archive: it has one writer. */
const WRITER = 'archive';
/** Looks at the lease of another writer in the time of one renewal. */
const LOOKS_PER_RENEWAL = 10;
/** Renewals of a living writer may be late by this share. */
const PATIENCE = 1.2;

/** Another server writes to the same prefix of the bucket. */
export class AnotherWriterError extends Error {
  override readonly name = 'AnotherWriterError';

  constructor(url: string, writer: string) {
    super(
      `the archive ${url} is written by another server (${writer}): stop it, or give each server a ` +
        'prefix of its own, such as s3://bucket?prefix=NAME/',
    );
  }
}

/** The lease that makes this server the only writer of an archive. */
export class WriterLease {
  readonly lease: OwnLease;
  readonly leases: WatchedLeases;
  readonly #bucket: ArchiveBucket;

  /** @param holder names this server, and is the same after a restart. */
  constructor(bucket: ArchiveBucket, holder: string) {
    const { environment, times } = bucket;
    this.#bucket = bucket;
    this.lease = new OwnLease({ ...environment, server: WRITER, address: holder, times });
    this.leases = new WatchedLeases(environment);
  }

  /** Checks for the time of a renewal that no other server writes. @throws {AnotherWriterError} */
  async check(): Promise<void> {
    const { environment, times } = this.#bucket;
    await this.#unlessRenewed(environment.clock.nowMs() + PATIENCE * times.renewMs);
  }

  /**
   * Takes the lease once the last writer is dead, and then renews it until the signal is aborted or
   * another process has taken it.
   *
   * @param onLive called once the lease is taken.
   * @throws {AnotherWriterError}; the signal's reason.
   */
  async hold(onLive: () => void): Promise<void> {
    const { environment, signal, times } = this.#bucket;
    await this.#unlessRenewed(Number.POSITIVE_INFINITY);
    await this.lease.start();
    onLive();
    while (this.lease.state === 'live') {
      await environment.clock.sleep(times.renewMs);
      // A failed renewal is repeated: until another server takes the lease, nothing is lost.
      await this.lease.renew().catch(() => {});
    }
    signal.throwIfAborted();
    if (this.lease.state === 'lost')
      throw new AnotherWriterError(this.#bucket.url, (await this.#read())?.lease.address ?? 'unknown');
  }

  async release(): Promise<void> {
    await this.lease.release();
  }

  /**
   * Waits until the last writer is dead, or a time is over. @throws {AnotherWriterError} if it
   * renews its lease.
   */
  async #unlessRenewed(untilMs: number): Promise<void> {
    const { environment, times, url } = this.#bucket;
    const { clock } = environment;
    const first = await this.#read();
    for (let found = first; ; found = await this.#read()) {
      if (found === undefined || found.lease.state !== 'live') return;
      if (found.lease.address === this.lease.options.address) return; // the same server
      if (found.version !== first?.version) throw new AnotherWriterError(url, found.lease.address);
      const isDead = await this.leases.isDead(found.lease);
      if (isDead && (await this.leases.end(found.lease))) return;
      if (clock.nowMs() >= untilMs) return;
      await clock.sleep(times.renewMs / LOOKS_PER_RENEWAL);
    }
  }

  async #read(): Promise<{ readonly lease: Lease; readonly version: string } | undefined> {
    const object = await this.#bucket.environment.bucket.get(leaseKey(WRITER));
    return object && { lease: LEASE.open(object.content), version: object.version };
  }
}
