/** One step of the database's schema. */
export interface Migration {
  readonly id: string;
  readonly statements: readonly string[];
}

/**
 * The table of the steps that were taken, with the name that Gitaly's library for migrations uses.
 */
export const MIGRATIONS_TABLE = `CREATE TABLE IF NOT EXISTS schema_migrations (
  id VARCHAR(255) NOT NULL PRIMARY KEY,
  applied_at DATETIME
)`;

/** Gitaly 19.0's schema with its step names, so that either server can use the other's file. */
export const MIGRATIONS: readonly Migration[] = [
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
