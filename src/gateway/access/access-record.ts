import type { Identity } from '../identity.ts';

/**
 * The wish of a client. `ls-refs` only reads references. A `fetch` comes from a client that has
 * commits of the repository, a `clone` from one without. A refused request that was not read is a
 * `fetch` or a `push`. `api`, `page`, `bundle`, `events` and `other` are requests of HTTP without
 * git, `login` and `command` those of SSH.
 */
export type AccessOperation =
  | 'clone'
  | 'fetch'
  | 'ls-refs'
  | 'push'
  | 'api'
  | 'archive'
  | 'bundle'
  | 'command'
  | 'events'
  | 'lfs'
  | 'login'
  | 'other'
  | 'page';

/** `refused` by authentication, rights, limits, rules or hooks; `aborted` by the client. */
export type AccessOutcome = 'ok' | 'refused' | 'failed' | 'aborted';

/** A reference that a push changes, or wanted to. */
export interface PushedReference {
  readonly name: string;
  /** Ids as the client sent them; all zeros for a new and a removed reference. */
  readonly oldId: string;
  readonly newId: string;
  /** Why it was refused. */
  readonly reason?: string;
}

/** A finished request of a client at a gateway. */
export interface AccessRecord {
  readonly transport: 'http' | 'ssh';
  readonly operation: AccessOperation;
  readonly outcome: AccessOutcome;
  /** Why it was refused, or failed; without credentials. */
  readonly reason?: string;
  /** The user; `undefined` if nobody was logged in. */
  readonly identity?: Identity;
  /** `SHA256:…` of the last key that was offered for a refused login. */
  readonly offeredKey?: string;
  /** Change that was made on a page, such as `removed key laptop`. */
  readonly change?: string;
  readonly remoteAddress: string | undefined;
  /** Path of the repository; `undefined` if the request names none. */
  readonly repository?: string;
  /** The first references of a push. */
  readonly references: readonly PushedReference[];
  /** Number of all references of a push. */
  readonly referenceCount: number;
  /** Bytes of git from the client, decompressed. */
  readonly bytesIn: number;
  /** Bytes of git to the client. */
  readonly bytesOut: number;
  readonly endedAt: Date;
  readonly durationMs: number;
}

/** Receives the record of each request. It must not throw or wait. */
export type AccessObserver = (record: AccessRecord) => void;
