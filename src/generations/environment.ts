/** An object of the bucket, read whole. */
export interface StoredObject {
  readonly content: Buffer;
  /** Differs after each replacement, if the contents differ. */
  readonly version: string;
  /** Time of the last write, by the clock of the bucket. */
  readonly modifiedMs: number;
}

export interface ListedObject {
  readonly key: string;
  readonly modifiedMs: number;
}

/**
 * Result of a conditional create. `conflict`: nothing was written, because another request for the
 * key was running; the same request may succeed.
 */
export type CreateResult = 'created' | 'exists' | 'conflict';

/**
 * The operations of a bucket that the protocol needs. A method that throws has an unknown outcome:
 * a write may take effect later, even minutes later.
 */
export interface Bucket {
  /** Returns an object; `undefined` only if the bucket states that it does not exist. */
  get(key: string): Promise<StoredObject | undefined>;
  create(key: string, content: Buffer): Promise<CreateResult>;
  /**
   * Replaces an object that still has the version.
   *
   * @returns the new version; `undefined` if nothing was written.
   */
  replace(key: string, content: Buffer, version: string): Promise<string | undefined>;
  delete(keys: readonly string[]): Promise<void>;
  /** Yields pages of the objects below a prefix. No call of a client waits for it (I9). */
  list(prefix: string): AsyncIterable<readonly ListedObject[]>;
}

export interface Clock {
  /** Time since any moment. It includes the time in which the machine was suspended. */
  nowMs(): number;
  /** Time since 1970. */
  wallMs(): number;
  sleep(ms: number): Promise<void>;
}

export interface NonceSource {
  /** Returns a text that is never returned again, by any server. */
  nonce(): string;
}

/** All that the protocol uses of the outside. A simulation supplies its own. */
export interface Environment {
  readonly bucket: Bucket;
  readonly clock: Clock;
  readonly random: NonceSource;
}

/** Times of the protocol. All servers of a bucket need the same. */
export interface ProtocolTimes {
  /** Validity of a lease; the others read it in the lease. */
  readonly ttlMs: number;
  /** Time between two renewals. */
  readonly renewMs: number;
  /** Time in which the same write is repeated, until its outcome counts as unknown. */
  readonly writeMs: number;
  /** Delay before a request is repeated. */
  readonly retryMs: number;
  /** Time after which the collector removes what is not used, by the clock of the bucket. */
  readonly graceMs: number;
  /** Time after its upload in which a pack may be named. */
  readonly packUseMs: number;
  /** Time in which the name of a doomed pack is remembered; longer than {@link packUseMs}. */
  readonly doomedMs: number;
  /** Time in which a repeated request gets the first response. */
  readonly repeatMs: number;
}

const HOUR_MS = 3600_000;

export const TIMES: ProtocolTimes = {
  ttlMs: 15_000,
  renewMs: 3000,
  writeMs: 20_000,
  retryMs: 200,
  graceMs: 24 * HOUR_MS,
  packUseMs: 12 * HOUR_MS,
  doomedMs: 48 * HOUR_MS,
  repeatMs: HOUR_MS,
};

/** Share of the TTL after which an owner asks the bucket before each read. */
export const ASK_SHARE = 0.8;
/** Share of the TTL without a change after which a lease is dead. */
export const DEAD_SHARE = 1.5;
