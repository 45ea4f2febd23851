import { randomBytes } from 'node:crypto';
import { abortable } from '#base/async/abortable';
import { messageOf, prefixed } from '#base/gitaly-error';
import type { Logger } from '#platform/log/logger';
import { type Database, sql } from '../database/database.ts';
import type { ListenerHandler } from '../database/listener.ts';
import type { RepositoryKey } from '../model/repository-key.ts';
import { LEASE_MS, type LockObserver, type WriteLock, type WriteLocks } from './write-locks.ts';

/** Limit of a release, which does not end with the call. */
const RELEASE_LIMIT_MS = 3000;
/** Number of bits of a holder that contain the transaction's id. */
const ID_BITS = 32n;

export interface PostgresWriteLocksOptions {
  readonly database: Database;
  readonly logger: Logger;
  readonly observer: LockObserver;
}

/**
 * Locks in the table `repository_reference_write_locks`, one row for each that is held. Waiters
 * are notified when a row is deleted.
 */
export class PostgresWriteLocks implements WriteLocks, ListenerHandler {
  readonly channels = ['repository_reference_write_lock_releases'];
  readonly #options: PostgresWriteLocksOptions;
  /** Distinguishes the processes: ids of transactions are unique only in a process. */
  readonly #process = BigInt(randomBytes(4).readUInt32BE() >>> 1) << ID_BITS;
  /** Resolvers by lock. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(options: PostgresWriteLocksOptions) {
    this.#options = options;
  }

  async lock(repository: RepositoryKey, transactionId: bigint, signal: AbortSignal): Promise<WriteLock> {
    const { virtualStorage, relativePath } = repository;
    const id = `${virtualStorage}|${relativePath}`;
    const holder = String(this.#process | BigInt.asUintN(Number(ID_BITS), transactionId));
    for (;;) {
      // Before the attempt, so that no release is missed.
      using released = this.#wait(id);
      if (await this.#tryLock(id, holder, virtualStorage)) return this.#held(id, holder, virtualStorage);
      await abortable(released.promise, signal).catch(prefixed('try lock: wait for lock'));
    }
  }

  /** Deletes locks of Praefects that are gone, which wakes the waiters. Never rejects. */
  async removeExpired(): Promise<void> {
    const { database, logger } = this.#options;
    try {
      const count = await database.run(
        sql`DELETE FROM repository_reference_write_locks WHERE expired_at < now()`,
      );
      if (count > 0) logger.info({ count }, 'clean up expired repository reference write locks');
    } catch (error) {
      logger.error({ error: messageOf(error) }, 'cleanup expired lock');
    }
  }

  /** Lets all waiters try again, because releases may have been missed before. */
  connected(): void {
    for (const id of [...this.#waiting.keys()]) this.notified('', id);
  }

  /** Does nothing: waiters try again when the connection is back. */
  disconnected(): void {}

  notified(_channel: string, id: string): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    for (const wake of waiting ?? []) wake();
  }

  #wait(id: string): Disposable & { readonly promise: Promise<void> } {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#waiting.get(id) ?? new Set();
    this.#waiting.set(id, waiting.add(resolve));
    return {
      promise,
      [Symbol.dispose]: () => {
        waiting.delete(resolve);
        if (waiting.size === 0 && this.#waiting.get(id) === waiting) this.#waiting.delete(id);
      },
    };
  }

  async #tryLock(id: string, holder: string, virtualStorage: string): Promise<boolean> {
    const { database, observer } = this.#options;
    try {
      const rows = await observer.timed(virtualStorage, 'trylock', () =>
        database.rows(sql`
          INSERT INTO repository_reference_write_locks AS lock (lock_id, holder_txn_id, expired_at)
          VALUES (${id}, ${holder}, now() + ${LEASE_MS} * interval '1 millisecond')
          ON CONFLICT (lock_id) DO UPDATE
            SET holder_txn_id = excluded.holder_txn_id, expired_at = excluded.expired_at
            WHERE lock.expired_at < now() OR lock.holder_txn_id = excluded.holder_txn_id
          RETURNING lock_id`),
      );
      observer.tried(virtualStorage, rows.length > 0 ? 'new_acquisition' : 'contended');
      return rows.length > 0;
    } catch (error) {
      observer.tried(virtualStorage, 'error');
      const text = `try lock: acquire repo reference write lock: ${id}, ${messageOf(error)}`;
      throw new Error(text, { cause: error });
    }
  }

  #held(id: string, holder: string, virtualStorage: string): WriteLock {
    const { database, observer } = this.#options;
    const ended = observer.held(virtualStorage);
    return {
      async renew() {
        const renewed = await observer.timed(virtualStorage, 'renew', () =>
          database.run(sql`
            UPDATE repository_reference_write_locks
            SET expired_at = now() + ${LEASE_MS} * interval '1 millisecond'
            WHERE lock_id = ${id} AND holder_txn_id = ${holder}`),
        );
        if (renewed === 0) throw new Error(`renew repo reference write lock (no rows): ${id}`);
      },
      async release() {
        ended();
        await observer.timed(virtualStorage, 'unlock', () =>
          database.limitedRows(
            sql`DELETE FROM repository_reference_write_locks
              WHERE lock_id = ${id} AND holder_txn_id = ${holder}`,
            RELEASE_LIMIT_MS,
          ),
        );
      },
    };
  }
}
