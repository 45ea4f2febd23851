import { integer, list, maybe, number, object, oneOf, type Shape, text } from '#base/shape';
import { type Owner, ownerShape } from './owner.ts';
import { openRecord, sealRecord } from './record.ts';

/** Reads and writes the records of one kind. */
export interface Codec<T extends object> {
  seal(value: T): Buffer;
  /** @throws {ProtocolError} `damaged` */
  open(bytes: Buffer): T;
}

function codec<T extends object>(kind: string, shape: Shape<T>): Codec<T> {
  return {
    seal: (value) => sealRecord(kind, value).bytes,
    open: (bytes) => openRecord(kind, shape, bytes).fields,
  };
}

/** The lease of a server. `ended`: another server has taken it away. */
export interface Lease extends Owner {
  /** Process of the server: a second process with the same name has another. */
  readonly process: string;
  readonly address: string;
  readonly ttlMs: number;
  /** Grows with each renewal. With the nonce, the contents of two renewals are never equal. */
  readonly counter: number;
  readonly nonce: string;
  readonly state: 'live' | 'released' | 'ended';
}

export const LEASE: Codec<Lease> = codec(
  'lease',
  object({
    server: text,
    epoch: integer,
    process: text,
    address: text,
    ttlMs: number,
    counter: integer,
    nonce: text,
    state: oneOf('live', 'released', 'ended'),
  }),
);

/** The checkpoint that readers start from. */
export interface FloorRecord {
  readonly n: number;
  /** The owner that wrote it. */
  readonly owner: Owner;
  readonly nonce: string;
}

export const FLOOR: Codec<FloorRecord> = codec(
  'floor',
  object({ n: integer, owner: ownerShape, nonce: text }),
);

/** Packs of a repository that a fork, or a member of its pool, names. */
export interface Pin {
  readonly packs: readonly string[];
}

export const PIN: Codec<Pin> = codec('pin', object({ packs: list(text) }));

/**
 * A record in the chain of a path. `arriving`: a repository is being renamed to this path; it is
 * here once the chain of the path `from` has the record `moved`.
 */
export interface PathRecord {
  readonly kind: 'created' | 'arriving' | 'moved' | 'removed';
  readonly id: string;
  readonly nonce: string;
  /** Former path, of `arriving`. */
  readonly from?: string | undefined;
  /** New path, of `moved`. */
  readonly to?: string | undefined;
}

export const PATH_RECORD: Codec<PathRecord> = codec(
  'path',
  object({
    kind: oneOf('created', 'arriving', 'moved', 'removed'),
    id: text,
    nonce: text,
    from: maybe(text),
    to: maybe(text),
  }),
);

/** A chain that cannot be read, and has been replaced by another one: the path that it was at. */
export interface GivenUpRecord {
  readonly path: string;
}

export const GIVEN_UP: Codec<GivenUpRecord> = codec('given-up', object({ path: text }));

/** Identity of a bucket. It changes when the bucket is restored or replaced by a replica. */
export interface StoreRecord {
  readonly incarnation: string;
}

export const STORE: Codec<StoreRecord> = codec('store', object({ incarnation: text }));

/** The file `generation` of a local repository: the state that it has. */
export interface Mark {
  readonly n: number;
  /** Checksum of generation n. */
  readonly checksum: string;
  readonly incarnation: string;
  readonly server: string;
  readonly bootId: string;
  readonly fileSystem: string;
}

export const MARK: Codec<Mark> = codec(
  'mark',
  object({
    n: integer,
    checksum: text,
    incarnation: text,
    server: text,
    bootId: text,
    fileSystem: text,
  }),
);
