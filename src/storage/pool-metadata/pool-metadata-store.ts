import type { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import { LoopSlice } from '#base/async/loop-turns';
import { wrap } from '#base/gitaly-error';
import { isError } from '#base/is-error';

/** A repository that borrows objects from a pool. Paths are relative to the storage. */
export interface StoredMember {
  readonly relativePath: string;
  readonly poolPath: string;
  /** The repository from which the pool was made. A pool has at most one; the last one counts. */
  readonly isUpstream: boolean;
}

const PAGE = 1000;
const BUSY_RETRY_MS = 20;
const BUSY_LIMIT_MS = 5000;
const SQLITE_BUSY = 5;

/**
 * The members of object pools in an SQLite file (`[pool_metadata] database_path`). Each statement
 * takes microseconds; long work pauses between statements. Nothing waits inside SQLite for another
 * process, because that would block the event loop.
 */
export class PoolMetadataStore implements Disposable {
  readonly #database: DatabaseSync;
  /** Ends when the writers that came before have finished. Never rejects. */
  #lastWrite: Promise<void> = Promise.resolve();

  private constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** Opens or creates the file. @throws when it cannot be used. */
  static async open(file: string): Promise<PoolMetadataStore> {
    // Loaded only if configured: it costs a megabyte.
    const { DatabaseSync } = await import('node:sqlite');
    const database = new DatabaseSync(file, { enableForeignKeyConstraints: true });
    try {
      database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
      const store = new PoolMetadataStore(database);
      await store.#write(() => migrate(database));
      return store;
    } catch (error) {
      database.close();
      throw wrap(error, 'open sqlite database');
    }
  }

  [Symbol.dispose](): void {
    this.#database.close();
  }

  /** Replaces all that is known about the pools of a storage. Either all or nothing is stored. */
  async replace(storageName: string, members: readonly StoredMember[]): Promise<void> {
    await this.#write(async () => {
      this.#run(
        'DELETE FROM pool_members WHERE pool_disk_path IN (SELECT disk_path FROM pools WHERE storage = ?)',
        storageName,
      );
      this.#run('DELETE FROM pools WHERE storage = ?', storageName);
      const slice = new LoopSlice();
      const upstreams = new Map(
        members
          .filter(({ isUpstream }) => isUpstream)
          .map(({ poolPath, relativePath }) => [poolPath, relativePath]),
      );
      const addPool = this.#database.prepare(
        'INSERT OR IGNORE INTO pools (disk_path, storage, last_scanned) VALUES (?, ?, ?)',
      );
      const addMember = this.#database.prepare(
        'INSERT INTO pool_members (member_disk_path, pool_disk_path, is_upstream) VALUES (?, ?, ?)',
      );
      const now = new Date().toISOString().replace('T', ' ').replace('Z', '+00:00');
      for (const { relativePath, poolPath } of members) {
        addPool.run(poolPath, storageName, now);
        addMember.run(relativePath, poolPath, upstreams.get(poolPath) === relativePath ? 1 : 0);
        await slice.pause();
      }
    });
  }

  /** Records that the pool of a repository does not exist. */
  async noteBroken(storageName: string, relativePath: string, poolPath: string): Promise<void> {
    await this.#write(() => {
      this.#run(
        `INSERT INTO broken_pools (pool_member, storage, pool) VALUES (?, ?, ?)
         ON CONFLICT (pool_member, storage) DO UPDATE SET pool = excluded.pool`,
        relativePath,
        storageName,
        poolPath,
      );
    });
  }

  /** Yields the paths of a storage's pools in byte order. */
  async *pools(storageName: string): AsyncGenerator<string, void, undefined> {
    const page = this.#database.prepare(
      'SELECT disk_path FROM pools WHERE storage = ? AND disk_path > ? ORDER BY disk_path LIMIT ?',
    );
    for (let last = ''; ; ) {
      while (this.#database.isTransaction) await this.#lastWrite;
      const paths = page.all(storageName, last, PAGE).map((row) => String(row.disk_path));
      yield* paths;
      last = paths.at(-1) ?? '';
      if (paths.length < PAGE) return;
    }
  }

  #run(statement: string, ...values: string[]): void {
    this.#database.prepare(statement).run(...values);
  }

  /** Runs work in a separate transaction, after the earlier ones. */
  async #write(work: () => void | Promise<void>): Promise<void> {
    const before = this.#lastWrite;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#lastWrite = promise;
    await before;
    try {
      await this.#begin();
      try {
        await work();
        this.#database.exec('COMMIT');
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
        throw error;
      }
    } finally {
      resolve();
    }
  }

  async #begin(): Promise<void> {
    const limit = performance.now() + BUSY_LIMIT_MS;
    for (;;) {
      try {
        this.#database.exec('BEGIN IMMEDIATE');
        return;
      } catch (error) {
        if (!isBusy(error) || performance.now() > limit) throw error;
      }
      await delay(BUSY_RETRY_MS);
    }
  }
}

function migrate(database: DatabaseSync): void {
  database.exec(MIGRATIONS_TABLE);
  const isDone = database.prepare('SELECT 1 FROM schema_migrations WHERE id = ?');
  const note = database.prepare(
    'INSERT INTO schema_migrations (id, applied_at) VALUES (?, CURRENT_TIMESTAMP)',
  );
  for (const { id, statements } of MIGRATIONS) {
    if (isDone.get(id) !== undefined) continue;
    for (const statement of statements) database.exec(statement);
    note.run(id);
  }
}

function isBusy(error: unknown): boolean {
  return isError(error) && 'errcode' in error && error.errcode === SQLITE_BUSY;
}

/** One step of the database's schema. */
export interface PoolMigration {
  readonly id: string;
  readonly statements: readonly string[];
}

/**
 * The table of the steps that were taken, with the name that Gitaly's library for migrations uses.
 */
const MIGRATIONS_TABLE = `CREATE TABLE IF NOT EXISTS schema_migrations (
  id VARCHAR(255) NOT NULL PRIMARY KEY,
  applied_at DATETIME
)`;

/** Gitaly 19.0's schema with its step names, so that either server can use the other's file. */
export const MIGRATIONS: readonly PoolMigration[] = [
  {
    id: '20260211151213_initial_schema',
    statements: [
      `CREATE TABLE pools (
        disk_path TEXT PRIMARY KEY,
        storage TEXT NOT NULL,
        last_scanned DATETIME NOT NULL
      )`,
      `CREATE TABLE pool_members (
        member_disk_path TEXT PRIMARY KEY,
        pool_disk_path TEXT NOT NULL REFERENCES pools (disk_path) ON DELETE RESTRICT,
        is_upstream INTEGER NOT NULL DEFAULT 0
      )`,
      'CREATE INDEX idx_pool_members_pool_disk_path ON pool_members (pool_disk_path)',
      `CREATE UNIQUE INDEX idx_pool_members_one_upstream_per_pool
        ON pool_members (pool_disk_path) WHERE is_upstream = 1`,
    ],
  },
  {
    id: '20260415000000_broken_pools',
    statements: [
      `CREATE TABLE broken_pools (
        pool_member TEXT NOT NULL,
        storage TEXT NOT NULL,
        pool TEXT NOT NULL,
        PRIMARY KEY (pool_member, storage)
      )`,
      'CREATE INDEX idx_broken_pools_storage ON broken_pools (storage)',
    ],
  },
];
